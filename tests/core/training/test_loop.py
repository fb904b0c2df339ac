from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rsmoe_core.data import Sample
from rsmoe_core.data.targets import derive
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training import loop
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.lessons import Row, Study
from rsmoe_core.training.loop import Material, Session, pack, run_phase, select_parameters, validation_loss
from rsmoe_core.training.stages import Phase
from tests.core.conftest import make_tiny

ALIGN = Phase("align", ("qformer", "language"), ("caption", "subtask"), epochs=3, learning_rate=1e-2, images_per_step=8)
EXPERTS = Phase("experts", ("router", "objects"), ("route",), epochs=1, learning_rate=1e-2, images_per_step=8)
SENTENCES = {"pond": "a pond is near a road .", "airport": "airplanes are in an airport .", "forest": "many trees ."}


@pytest.fixture
def material() -> Material:
    """Thirty pictures of three classes, which features tell apart."""
    rng = np.random.default_rng(0)
    centres = {scene: rng.normal(size=(4, 32)) for scene in SENTENCES}
    studies, features = [], []
    for number in range(30):
        scene = list(SENTENCES)[number % 3]
        sample = Sample(Path(f"{scene}_{number}.jpg"), "train", (SENTENCES[scene],), scene)
        studies.append(Study(sample, derive(sample), {}))
        features.append(centres[scene] + rng.normal(scale=0.2, size=(2, 4, 32)))
    return Material(studies, FeatureBank.of([np.stack(features).astype(np.float16)]))


def state(model: RSMoE) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def changed(before: dict[str, Tensor], model: RSMoE) -> set[str]:
    return {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}


def train(material: Material, out: Path, **options: object) -> tuple[RSMoE, bool]:
    model = make_tiny(experts=False)
    whole = run_phase(
        model, ALIGN, material, Session(out, bf16=False, save_every=2, **options), lambda epoch: {"v": epoch}
    )
    return model, whole


def log(out: Path) -> list[dict]:
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_the_loss_falls_and_the_log_can_be_plotted(material: Material, tmp_path: Path) -> None:
    _, whole = train(material, tmp_path)
    steps = [row for row in log(tmp_path) if "loss" in row]
    assert whole
    assert [row["step"] for row in steps] == list(range(1, 13)), "30 pictures, 8 a step, 3 epochs"
    assert [row["epoch"] for row in steps][3::4] == [1, 2, 3]
    assert steps[-1]["loss"] < 0.7 * steps[0]["loss"]
    assert all(row["norm"] > 0 and row["phase"] == "align" for row in steps)
    assert [(row["step"], row["v"]) for row in log(tmp_path) if "v" in row] == [(4, 1), (8, 2), (12, 3)]


def test_captions_come_from_the_picture(material: Material, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    phase = Phase("align", ("qformer", "language"), ("caption",), epochs=20, learning_rate=1e-2, images_per_step=8)
    run_phase(model, phase, material, Session(tmp_path, bf16=False), lambda epoch: {})
    model.eval()
    prompts = ["describe the picture"] * 3
    said = model.answer(model.encode(material.features.patches(range(3)), prompts), prompts)
    assert [model.codec.decode(w.ids)[:9] for w in said] == [text[:9] for text in SENTENCES.values()]


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_a_run_that_was_stopped_and_resumed_equals_an_unbroken_one(
    material: Material, tmp_path: Path, stop: int
) -> None:
    unbroken, _ = train(material, tmp_path / "unbroken")
    _, whole = train(material, tmp_path / "broken", max_steps=stop)
    assert not whole
    assert max(row["step"] for row in log(tmp_path / "broken")) == stop
    resumed, whole = train(material, tmp_path / "broken")
    assert whole
    assert not changed(state(unbroken), resumed)
    assert log(tmp_path / "broken") == log(tmp_path / "unbroken")


def test_a_run_that_was_killed_between_checkpoints_equals_an_unbroken_one(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken, _ = train(material, tmp_path / "unbroken")
    step = loop._step

    def killed(*arguments):
        if arguments[4] == 7:  # steps 0-5 are saved, step 6 is taken but not saved
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(loop, "_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train(material, tmp_path / "broken")
    monkeypatch.undo()
    with (tmp_path / "broken" / "log.jsonl").open("a") as file:
        file.write('{"phase": "align", "st')  # killed while it wrote
    resumed, _ = train(material, tmp_path / "broken")
    assert not changed(state(unbroken), resumed)
    assert log(tmp_path / "broken") == log(tmp_path / "unbroken")


def test_a_kill_between_validation_and_checkpoint_repeats_the_validation(material: Material, tmp_path: Path) -> None:
    """Between best/ and last/: the epoch's last steps are taken again and give the model that was validated."""
    validated: list[dict[str, Tensor]] = []
    model = make_tiny(experts=False)

    def validate(epoch: int) -> dict[str, float]:
        validated.append(state(model))
        if len(validated) == 2:
            raise KeyboardInterrupt
        return {}

    session = Session(tmp_path, bf16=False, save_every=3)
    with pytest.raises(KeyboardInterrupt):
        run_phase(model, ALIGN, material, session, validate)
    model = make_tiny(experts=False)
    run_phase(model, ALIGN, material, session, validate)
    assert all(torch.equal(value, validated[2][key]) for key, value in validated[1].items())


def test_a_checkpoint_of_another_phase_is_not_taken(material: Material, tmp_path: Path) -> None:
    train(material, tmp_path, max_steps=2)
    model = make_tiny()
    run_phase(model, EXPERTS, material, Session(tmp_path, bf16=False, max_steps=1), lambda epoch: {})
    assert [row["step"] for row in log(tmp_path)] == [1]


def test_only_what_a_phase_trains_changes(material: Material, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    before = state(model)
    run_phase(model, ALIGN, material, Session(tmp_path / "1", bf16=False, max_steps=2), lambda epoch: {})
    parts = {key.split(".")[0] for key in changed(before, model)}
    assert parts == {"qformer", "language"}, "neither weights nor batch-norm statistics of the image encoder"

    model.add_experts()
    before = state(model)
    run_phase(model, EXPERTS, material, Session(tmp_path / "2", bf16=False, max_steps=2), lambda epoch: {})
    found = changed(before, model)
    assert found
    assert all(".router." in key for key in found), "the objects adapter had no lesson, the rest is frozen"
    assert {key.split(".")[-2] for key, _ in select_parameters(model, EXPERTS)} == {"router", "objects"}


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


def test_packing_keeps_rows_apart(tiny_model: RSMoE) -> None:
    codec = tiny_model.codec
    first, second = Row(None, "name", "trees", 0.5), Row(None, "describe", "a pond", 2.0)
    rows = pack(codec, [[first, second], [second]])
    long = [*codec.prompt_ids("name"), *codec.encode("trees"), codec.eos]
    short = [*codec.prompt_ids("describe"), *codec.encode("a pond"), codec.eos]
    padding = len(long)
    assert rows.ids_BT.tolist() == [long + short, short + [codec.pad] * padding]
    assert rows.row_BT.tolist() == [[0] * len(long) + [1] * len(short), [0] * len(short) + [-1] * padding]
    assert rows.offset_BT.tolist()[0] == [*range(len(long)), *range(len(short))]
    learned = [0.0] * len(codec.prompt_ids("describe")) + [2.0] * (len(codec.encode("a pond")) + 1)
    assert rows.weight_BT.tolist()[1] == learned + [0.0] * padding


def test_validation_changes_nothing_and_repeats(material: Material, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    before, session = state(model), Session(tmp_path, bf16=False)
    losses = [validation_loss(model, ALIGN, material, session) for _ in range(2)]
    assert losses[0] == losses[1] > 0
    assert not changed(before, model)


def test_bfloat16_gives_nearly_the_same_loss(material: Material, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    exact, rough = (validation_loss(model, ALIGN, material, Session(tmp_path, bf16=bf16)) for bf16 in (False, True))
    assert exact != rough
    assert rough == pytest.approx(exact, rel=0.02)
