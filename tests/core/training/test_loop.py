from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training import loop
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.objectives.text import TextObjective
from rsmoe_core.training.stages import Phase
from tests.core.conftest import make_tiny
from tests.core.training.conftest import ALIGN, ALIKE, EXPERTS, changed, state

AVERAGED = dataclasses.replace(ALIGN, average=0.9)


def train(material: TrainingData, out: Path, phase: Phase = ALIGN, **options: object) -> tuple[RSMoE, bool]:
    model, session = make_tiny(experts=False), RunOptions(out, bf16=False, save_every=2, **options)
    whole = run_phase(
        TextObjective(model, phase, material, material, session), phase, session, lambda epoch: {"v": epoch}
    )
    return model, whole


def log(out: Path) -> list[dict]:
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_the_loss_falls_and_the_log_can_be_plotted(material: TrainingData, tmp_path: Path) -> None:
    _, whole = train(material, tmp_path)
    steps = [row for row in log(tmp_path) if "loss" in row]
    assert whole
    assert [row["step"] for row in steps] == list(range(1, 13)), "30 pictures, 8 a step, 3 epochs"
    assert [row["epoch"] for row in steps][3::4] == [1, 2, 3]
    assert steps[-1]["loss"] < 0.7 * steps[0]["loss"]
    assert all(row["norm"] > 0 and row["phase"] == "align" for row in steps)
    assert [(row["step"], row["v"]) for row in log(tmp_path) if "v" in row] == [(4, 1), (8, 2), (12, 3)]


@pytest.mark.parametrize("phase", [ALIGN, AVERAGED], ids=["plain", "averaged"])
@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_run_that_was_stopped_and_resumed_equals_an_unbroken_one(
    material: TrainingData, tmp_path: Path, stop: int, phase: Phase
) -> None:
    unbroken, _ = train(material, tmp_path / "unbroken", phase)
    _, whole = train(material, tmp_path / "broken", phase, max_steps=stop)
    assert not whole
    assert max(row["step"] for row in log(tmp_path / "broken")) == stop
    resumed, whole = train(material, tmp_path / "broken", phase)
    assert whole
    assert not changed(state(unbroken), resumed)
    assert log(tmp_path / "broken") == log(tmp_path / "unbroken")


@pytest.mark.parametrize("phase", [ALIGN, AVERAGED], ids=["plain", "averaged"])
def test_a_run_that_was_killed_between_checkpoints_equals_an_unbroken_one(
    material: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: Phase
) -> None:
    unbroken, _ = train(material, tmp_path / "unbroken", phase)
    step = loop._step

    def killed(*arguments):
        if arguments[2] == 7:  # steps 0-5 are saved, step 6 is taken but not saved
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(loop, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train(material, tmp_path / "broken", phase)
    monkeypatch.undo()
    with (tmp_path / "broken" / "log.jsonl").open("a") as file:
        file.write('{"phase": "align", "st')  # killed while it wrote
    resumed, _ = train(material, tmp_path / "broken", phase)
    assert not changed(state(unbroken), resumed)
    assert log(tmp_path / "broken") == log(tmp_path / "unbroken")


def test_a_kill_between_validation_and_checkpoint_repeats_the_validation(
    material: TrainingData, tmp_path: Path
) -> None:
    """Between best/ and last/: the epoch's last steps are taken again and give the model that was validated."""
    validated: list[dict[str, Tensor]] = []
    model = make_tiny(experts=False)

    def validate(epoch: int) -> dict[str, float]:
        validated.append(state(model))
        if len(validated) == 2:
            raise KeyboardInterrupt
        return {}

    session = RunOptions(tmp_path, bf16=False, save_every=3)
    with pytest.raises(KeyboardInterrupt):
        run_phase(TextObjective(model, ALIGN, material, material, session), ALIGN, session, validate)
    model = make_tiny(experts=False)
    run_phase(TextObjective(model, ALIGN, material, material, session), ALIGN, session, validate)
    assert all(torch.equal(value, validated[2][key]) for key, value in validated[1].items())


def test_what_is_validated_and_left_is_the_average(material: TrainingData, tmp_path: Path) -> None:
    model, session, validated = make_tiny(experts=False), RunOptions(tmp_path, bf16=False), []

    def validate(epoch: int) -> dict[str, float]:
        validated.append(state(model))
        return {}

    run_phase(TextObjective(model, AVERAGED, material, material, session), AVERAGED, session, validate)
    assert not changed(validated[-1], model)
    saved = load_file(str(tmp_path / "last" / "state.safetensors"))
    now = dict(TextObjective(model, AVERAGED, material, material, session).trained)
    assert all(torch.equal(parameter, saved[f"average/{name}"]) for name, parameter in now.items())
    assert any(not torch.equal(parameter, saved[f"parameter/{name}"]) for name, parameter in now.items())
    plain, _ = train(material, tmp_path / "plain")
    last = dict(TextObjective(plain, ALIGN, material, material, session).trained)
    assert all(torch.equal(parameter, saved[f"parameter/{name}"]) for name, parameter in last.items()), "same steps"


class DetectionObjective(TextObjective):
    """Notes which pictures are in memory together."""

    def losses(self, images: np.ndarray, rng: np.random.Generator) -> Iterator[Tensor]:
        self.__dict__.setdefault("together", []).append(images)
        return super().losses(images, rng)


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_parts_make_the_step_of_the_whole_with_less_in_memory(alike: TrainingData, tmp_path: Path, parts: int) -> None:
    def trained(accumulate: int) -> tuple[RSMoE, list[np.ndarray], list[float]]:
        out = tmp_path / str(accumulate)
        model, session = make_tiny(experts=False, dropout=False), RunOptions(out, bf16=False, accumulate=accumulate)
        objective = DetectionObjective(model, ALIKE, alike, alike, session)
        run_phase(objective, ALIKE, session, lambda epoch: {})
        return model, objective.together, [row["loss"] for row in log(out) if "loss" in row]

    whole, at_once, losses = trained(1)
    model, together, similar = trained(parts)
    assert max(map(len, at_once)) == 8
    assert max(map(len, together)) == -(-8 // parts)
    assert len(together) == 3 * (3 * parts + min(parts, 6)), "30 pictures: three steps of 8 and one of 6, three times"
    assert np.array_equal(np.concatenate(together), np.concatenate(at_once))
    assert similar == pytest.approx(losses, rel=1e-4)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, whole.state_dict()[name], rtol=0, atol=2e-5, msg=name)


def test_a_phase_ends_where_it_is_enough(material: TrainingData, tmp_path: Path) -> None:
    session, asked = RunOptions(tmp_path, bf16=False), []

    def should_stop(epochs: int) -> bool:
        asked.append(epochs)
        return epochs == 2

    objective = TextObjective(make_tiny(experts=False), ALIGN, material, material, session)
    assert run_phase(objective, ALIGN, session, lambda epoch: {}, should_stop)
    assert asked == [0, 1, 2]
    assert max(row["step"] for row in log(tmp_path)) == 8


def test_a_checkpoint_of_another_phase_is_not_taken(material: TrainingData, tmp_path: Path) -> None:
    train(material, tmp_path, max_steps=2)
    session = RunOptions(tmp_path, bf16=False, max_steps=1)
    run_phase(TextObjective(make_tiny(), EXPERTS, material, material, session), EXPERTS, session, lambda epoch: {})
    assert [row["step"] for row in log(tmp_path)] == [1]


def test_the_rate_rises_then_falls_to_a_tenth() -> None:
    rates = [loop._rate(step, 100, ALIGN) for step in range(100)]
    assert rates.index(max(rates)) in (4, 5)
    assert max(rates) == ALIGN.learning_rate
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(ALIGN.learning_rate / 10, rel=0.01)
    assert min(rates[:5]) == rates[0] > 0


def test_every_picture_comes_once_an_epoch_in_another_order_each_time() -> None:
    epochs = [[i for place in range(4) for i in loop._images(epoch, place, 30, ALIGN, seed=1)] for epoch in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(30))] * 2
    assert epochs[0] != epochs[1]
