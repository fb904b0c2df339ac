from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.progress import Advance
from rsmoe_core.training import loop
from rsmoe_core.training.loop import EMA, run_phase
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.objectives.text import TextObjective
from rsmoe_core.training.phases import Phase
from tests.core.training.conftest import ALIGN, ALIKE, EXPERTS, changed, log_without_times, state
from tests.tiny import make_tiny

AVERAGED = dataclasses.replace(ALIGN, ema_decay=0.9)
both = pytest.mark.parametrize("phase", [ALIGN, AVERAGED], ids=["last step", "ema"])


def text_objective(model: RSMoE, phase: Phase, data: TrainingData, options: RunOptions) -> TextObjective:
    return TextObjective(model, phase, phase.objective, data, data, options)


def train(data: TrainingData, out: Path, phase: Phase = ALIGN, **settings: object) -> tuple[RSMoE, bool]:
    model, options = make_tiny(experts=False), RunOptions(out, bf16=False, save_every=2, **settings)
    objective = text_objective(model, phase, data, options)
    ended = run_phase(objective, phase, options, lambda epoch: {"v": epoch})
    return model, ended


def test_the_loss_falls_and_is_logged(data: TrainingData, tmp_path: Path) -> None:
    shown: list[object] = []

    @contextmanager
    def progress(total: int, unit: str, label: str = "", done: int = 0) -> Iterator[Advance]:
        shown.append((total, unit, label, done))
        yield lambda units, note="": shown.append((units, note))

    _, ended = train(data, tmp_path, progress=progress)
    log = log_without_times(tmp_path)
    steps = [row for row in log if "loss" in row]
    assert ended
    assert shown == [(12, "step", "align", 0), *((1, f"loss {row['loss']:.3f}") for row in steps)]
    assert [row["step"] for row in steps] == list(range(1, 13)), "30 images, 8 a step, 3 epochs"
    assert [row["epoch"] for row in steps][3::4] == [1, 2, 3]
    assert steps[-1]["loss"] < 0.7 * steps[0]["loss"]
    assert all(row["gradient_norm"] > 0 and row["phase"] == "align" for row in steps)
    assert [(row["step"], row["v"]) for row in log if "v" in row] == [(4, 1), (8, 2), (12, 3)]


@both
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_run_that_was_stopped_and_resumed_equals_an_uninterrupted_one(
    data: TrainingData, tmp_path: Path, stop: int, phase: Phase
) -> None:
    uninterrupted, _ = train(data, tmp_path / "whole", phase)
    _, ended = train(data, tmp_path / "stopped", phase, max_steps=stop)
    assert not ended
    assert max(row["step"] for row in log_without_times(tmp_path / "stopped")) == stop
    resumed, ended = train(data, tmp_path / "stopped", phase)
    assert ended
    assert not changed(state(uninterrupted), resumed)
    assert log_without_times(tmp_path / "stopped") == log_without_times(tmp_path / "whole")


@both
def test_a_run_that_was_killed_between_checkpoints_equals_an_uninterrupted_one(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: Phase
) -> None:
    uninterrupted, _ = train(data, tmp_path / "whole", phase)
    step = loop._step

    def killed(*arguments):
        if arguments[2] == 7:  # steps 0-5 are saved, step 6 is taken but not saved
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(loop, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train(data, tmp_path / "killed", phase)
    monkeypatch.undo()
    with (tmp_path / "killed" / "log.jsonl").open("a") as file:
        file.write('{"phase": "align", "st')  # killed while it wrote
    resumed, _ = train(data, tmp_path / "killed", phase)
    assert not changed(state(uninterrupted), resumed)
    assert log_without_times(tmp_path / "killed") == log_without_times(tmp_path / "whole")


def test_a_kill_between_validation_and_checkpoint_repeats_the_validation(data: TrainingData, tmp_path: Path) -> None:
    """Between best/ and last/: the epoch's last steps are repeated and give the model that was validated."""
    validated: list[dict[str, Tensor]] = []
    model = make_tiny(experts=False)

    def validate(epoch: int) -> dict[str, float]:
        validated.append(state(model))
        if len(validated) == 2:
            raise KeyboardInterrupt
        return {}

    options = RunOptions(tmp_path, bf16=False, save_every=3)
    with pytest.raises(KeyboardInterrupt):
        run_phase(text_objective(model, ALIGN, data, options), ALIGN, options, validate)
    model = make_tiny(experts=False)
    run_phase(text_objective(model, ALIGN, data, options), ALIGN, options, validate)
    assert all(torch.equal(value, validated[2][key]) for key, value in validated[1].items())


def test_the_ema_is_validated_and_left_in_the_model(data: TrainingData, tmp_path: Path) -> None:
    model, options, validated = make_tiny(experts=False), RunOptions(tmp_path, bf16=False), []

    def validate(epoch: int) -> dict[str, float]:
        validated.append(state(model))
        return {}

    run_phase(text_objective(model, AVERAGED, data, options), AVERAGED, options, validate)
    assert not changed(validated[-1], model)
    saved = load_file(str(tmp_path / "last" / "state.safetensors"))
    now = dict(text_objective(model, AVERAGED, data, options).trained)
    assert all(torch.equal(parameter, saved[f"ema/{name}"]) for name, parameter in now.items())
    assert any(not torch.equal(parameter, saved[f"parameter/{name}"]) for name, parameter in now.items())
    plain, _ = train(data, tmp_path / "plain")
    last = dict(text_objective(plain, ALIGN, data, options).trained)
    assert all(torch.equal(parameter, saved[f"parameter/{name}"]) for name, parameter in last.items()), "same steps"


class NotingObjective(TextObjective):
    """Notes which images are in memory together."""

    def losses(self, images: np.ndarray, rng: np.random.Generator) -> Iterator[Tensor]:
        self.__dict__.setdefault("parts", []).append(images)
        return super().losses(images, rng)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_parts_make_the_step_of_the_whole_with_less_in_memory(alike: TrainingData, tmp_path: Path, count: int) -> None:
    def trained(accumulate: int) -> tuple[RSMoE, list[np.ndarray], list[float]]:
        out = tmp_path / str(accumulate)
        model, options = make_tiny(experts=False, dropout=False), RunOptions(out, bf16=False, accumulate=accumulate)
        objective = NotingObjective(model, ALIKE, ALIKE.objective, alike, alike, options)
        run_phase(objective, ALIKE, options, lambda epoch: {})
        return model, objective.parts, [row["loss"] for row in log_without_times(out) if "loss" in row]

    whole, steps, losses = trained(1)
    model, parts, similar = trained(count)
    assert max(map(len, steps)) == 8
    assert max(map(len, parts)) == -(-8 // count)
    assert len(parts) == 3 * (3 * count + min(count, 6)), "30 images: three steps of 8 and one of 6, three times"
    assert np.array_equal(np.concatenate(parts), np.concatenate(steps))
    assert similar == pytest.approx(losses, rel=1e-4)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, whole.state_dict()[name], rtol=0, atol=2e-5, msg=name)


def test_a_phase_stops_early_when_asked_to(data: TrainingData, tmp_path: Path) -> None:
    options, asked = RunOptions(tmp_path, bf16=False), []

    def should_stop(epochs: int) -> bool:
        asked.append(epochs)
        return epochs == 2

    objective = text_objective(make_tiny(experts=False), ALIGN, data, options)
    assert run_phase(objective, ALIGN, options, lambda epoch: {}, should_stop)
    assert asked == [0, 1, 2]
    assert max(row["step"] for row in log_without_times(tmp_path)) == 8


def test_a_checkpoint_of_another_phase_is_not_used(data: TrainingData, tmp_path: Path) -> None:
    train(data, tmp_path, max_steps=2)
    options = RunOptions(tmp_path, bf16=False, max_steps=1)
    run_phase(text_objective(make_tiny(), EXPERTS, data, options), EXPERTS, options, lambda epoch: {})
    assert [row["step"] for row in log_without_times(tmp_path)] == [1]


def test_the_learning_rate_rises_then_falls_to_a_tenth() -> None:
    rates = [loop._learning_rate(step, 100, ALIGN) for step in range(100)]
    assert rates.index(max(rates)) in (4, 5)
    assert max(rates) == ALIGN.learning_rate
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(ALIGN.learning_rate / 10, rel=0.01)
    assert min(rates[:5]) == rates[0] > 0


def test_every_image_comes_once_an_epoch_in_another_order_each_time() -> None:
    epochs = [[i for index in range(4) for i in loop._images(epoch, index, 30, ALIGN, seed=1)] for epoch in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(30))] * 2
    assert epochs[0] != epochs[1]


def parameter(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value]))


def test_the_average_follows_faster_in_the_first_steps() -> None:
    weight = parameter(0.0)
    ema = EMA([("weight", weight)], decay=0.5)
    with torch.no_grad():
        weight.fill_(1.0)
    ema.update(0)
    assert ema.values["weight"].item() == pytest.approx(0.9), "a tenth of the initial value is left"
    ema.update(1)
    assert ema.values["weight"].item() == pytest.approx(1 - 0.1 * 2 / 11)
    ema.update(1000)
    assert ema.values["weight"].item() == pytest.approx(1 - 0.1 * 2 / 11 / 2), "finally the decay itself"


def test_parameters_are_restored_to_the_bit() -> None:
    weight = parameter(0.1)
    ema = EMA([("weight", weight)], decay=0.9)
    with torch.no_grad():
        weight.fill_(0.7)
    with ema.swapped_in():
        assert weight.item() == pytest.approx(0.1)
    assert torch.equal(weight, parameter(0.7))
    ema.swap()
    assert torch.equal(weight, parameter(0.1))


def test_without_a_decay_nothing_is_stored() -> None:
    weight = parameter(0.7)
    ema = EMA([("weight", weight)], decay=0.0)
    ema.update(0)
    ema.swap()
    assert ema.values == {}
    assert torch.equal(weight, parameter(0.7))
