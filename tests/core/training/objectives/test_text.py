from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.objectives.base import RunOptions, TrainingData, select_parameters
from rsmoe_core.training.objectives.text import TextObjective, mixed
from rsmoe_core.training.stages import Phase
from tests.core.conftest import make_tiny
from tests.core.training.conftest import ALIGN, EXPERTS, SAID, changed, state


def teach(model: RSMoE, phase: Phase, material: TrainingData, session: RunOptions) -> None:
    run_phase(TextObjective(model, phase, material, material, session), phase, session, lambda epoch: {})


def test_captions_come_from_the_picture(material: TrainingData, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    phase = dataclasses.replace(ALIGN, tasks=("caption",), epochs=20)
    teach(model, phase, material, RunOptions(tmp_path, bf16=False))
    model.eval()
    prompts = ["describe the picture"] * 3
    said = model.answer(model.encode(material.features.patches(range(3)), prompts), prompts)
    assert [model.tokenizer.decode(w.ids)[:9] for w in said] == [text[:9] for text in SAID.values()]


def test_only_what_a_phase_trains_changes(material: TrainingData, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    before = state(model)
    teach(model, ALIGN, material, RunOptions(tmp_path / "1", bf16=False, max_steps=2))
    parts = {key.split(".")[0] for key in changed(before, model)}
    assert parts == {"qformer", "language"}, "neither weights nor batch-norm statistics of the image encoder"

    model.add_experts()
    before = state(model)
    teach(model, EXPERTS, material, RunOptions(tmp_path / "2", bf16=False, max_steps=2))
    found = changed(before, model)
    assert found
    assert all(".router." in key for key in found), "the objects adapter had no task, the rest is frozen"
    assert {key.split(".")[-2] for key, _ in select_parameters(model, EXPERTS)} == {"router", "objects"}


def test_validation_changes_nothing_and_repeats(material: TrainingData, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    before, session = state(model), RunOptions(tmp_path, bf16=False)
    losses = [TextObjective(model, ALIGN, material, material, session).validation_loss() for _ in range(2)]
    assert losses[0] == losses[1] > 0
    assert not changed(before, model)


def test_bfloat16_gives_nearly_the_same_loss(material: TrainingData, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    exact, rough = (
        TextObjective(model, ALIGN, material, material, RunOptions(tmp_path, bf16=bf16)).validation_loss()
        for bf16 in (False, True)
    )
    assert exact != rough
    assert rough == pytest.approx(exact, rel=0.02)


def test_captions_are_the_score_where_they_are_taught(material: TrainingData, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    phase = dataclasses.replace(ALIGN, tasks=("caption",), epochs=20)
    session = RunOptions(tmp_path, bf16=False)
    before, _ = TextObjective(model, phase, material, material, session).validate()
    teach(model, phase, material, session)
    score, figures = TextObjective(model, phase, material, material, session).validate()
    assert score == figures["validation_cider"] > before + 1
    score, figures = TextObjective(make_tiny(), EXPERTS, material, material, session).validate()
    assert score == -figures["validation_loss"] < 0
    assert "validation_cider" not in figures


def test_vision_tokens_are_mixed_with_those_of_other_pictures() -> None:
    own_BQH = torch.arange(200.0)[:, None, None].expand(200, 3, 2)  # each picture is a number
    seen_BQH = mixed(own_BQH, 0.5, np.random.default_rng(0))
    assert torch.equal(seen_BQH, seen_BQH[:, :1, :1].expand_as(seen_BQH)), "all tokens of a picture alike"
    moved = (seen_BQH != own_BQH)[:, 0, 0]
    assert 0.35 < moved.float().mean() < 0.65
    assert torch.equal(mixed(own_BQH, 0.0, np.random.default_rng(0)), own_BQH)
    again, other = (mixed(own_BQH, 0.5, np.random.default_rng(seed)) for seed in (0, 1))
    assert torch.equal(again, seen_BQH)
    assert not torch.equal(other, seen_BQH)


def test_what_is_mixed_is_learned_from_and_not_validated_on(material: TrainingData, tmp_path: Path) -> None:
    session = RunOptions(tmp_path, bf16=False)
    plain = dataclasses.replace(EXPERTS, tasks=("route",))
    losses, validated = [], []
    for phase in (plain, dataclasses.replace(plain, mixup=1.0)):
        teaching = TextObjective(make_tiny(), phase, material, material, session)
        validated.append(teaching.validation_loss())
        torch.manual_seed(0)
        losses += [loss.item() for loss in teaching.losses(np.arange(8), np.random.default_rng(0))]
    assert losses[0] != losses[1]
    assert validated[0] == validated[1]
