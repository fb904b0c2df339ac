from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from rsmoe_core.backends.native import NativeBackend
from rsmoe_core.checkpoint.load import for_inference
from rsmoe_core.inference.captions import caption_without_experts
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.objectives.text import TextObjective, mix_tokens
from rsmoe_core.training.phases import Phase, TextSettings
from tests.core.training.conftest import ALIGN, CAPTIONS, EXPERTS, changed, state
from tests.tiny import make_tiny

CAPTION = dataclasses.replace(ALIGN, objective=TextSettings(tasks=("caption",)), epochs=20)


def text_objective(model: RSMoE, phase: Phase, data: TrainingData, options: RunOptions) -> TextObjective:
    return TextObjective(model, phase, phase.objective, data, data, options)


def train(model: RSMoE, phase: Phase, data: TrainingData, options: RunOptions) -> None:
    run_phase(text_objective(model, phase, data, options), phase, options, lambda epoch: {})


def test_captions_follow_the_image_and_are_the_score(data: TrainingData, tmp_path: Path) -> None:
    model, options = make_tiny(experts=False), RunOptions(tmp_path, bf16=False)
    before, _ = text_objective(model, CAPTION, data, options).validate()
    train(model, CAPTION, data, options)
    backend = NativeBackend(for_inference(model))
    encoded = backend.encode_patches(data.features.patches(range(3)))
    captions = caption_without_experts(backend, encoded, range(3), model.config.decoding)
    assert [caption.text[:9] for caption in captions] == [text[:9] for text in CAPTIONS.values()]

    score, figures = text_objective(model, CAPTION, data, options).validate()
    assert score == figures["validation_cider"] > before + 1
    by_loss = dataclasses.replace(CAPTION, objective=TextSettings(tasks=("caption",), selects_by="loss"))
    score, figures = text_objective(model, by_loss, data, options).validate()
    assert score == -figures["validation_loss"] < 0
    assert "validation_cider" in figures


def test_the_loss_is_the_score_where_no_captions_are_learned(data: TrainingData, tmp_path: Path) -> None:
    score, figures = text_objective(make_tiny(), EXPERTS, data, RunOptions(tmp_path, bf16=False)).validate()
    assert score == -figures["validation_loss"] < 0
    assert "validation_cider" not in figures


def test_only_what_a_phase_trains_changes(data: TrainingData, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    before = state(model)
    train(model, ALIGN, data, RunOptions(tmp_path / "1", bf16=False, max_steps=2))
    parts = {key.split(".")[0] for key in changed(before, model)}
    assert parts == {"qformer", "language"}, "neither weights nor batch-norm statistics of the image encoder"

    model.add_experts()
    before = state(model)
    train(model, EXPERTS, data, RunOptions(tmp_path / "2", bf16=False, max_steps=2))
    found = changed(before, model)
    assert found
    assert all(".router." in key for key in found), "the objects adapter had no task, the rest is frozen"


def test_validation_changes_nothing_and_repeats(data: TrainingData, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    before, options = state(model), RunOptions(tmp_path, bf16=False)
    losses = [text_objective(model, ALIGN, data, options).validation_loss() for _ in range(2)]
    assert losses[0] == losses[1] > 0
    assert not changed(before, model)


def test_bfloat16_gives_nearly_the_same_loss(data: TrainingData, tmp_path: Path) -> None:
    model = make_tiny(experts=False)
    exact, rough = (
        text_objective(model, ALIGN, data, RunOptions(tmp_path, bf16=bf16)).validation_loss() for bf16 in (False, True)
    )
    assert exact != rough
    assert rough == pytest.approx(exact, rel=0.02)


def test_vision_tokens_are_mixed_with_those_of_other_images() -> None:
    tokens_BQH = torch.arange(200.0)[:, None, None].expand(200, 3, 2)  # each image is a number
    mixed_BQH = mix_tokens(tokens_BQH, 0.5, np.random.default_rng(0))
    assert torch.equal(mixed_BQH, mixed_BQH[:, :1, :1].expand_as(mixed_BQH)), "all tokens of an image alike"
    moved = (mixed_BQH != tokens_BQH)[:, 0, 0]
    assert 0.35 < moved.float().mean() < 0.65
    assert torch.equal(mix_tokens(tokens_BQH, 0.0, np.random.default_rng(0)), tokens_BQH)
    again, other = (mix_tokens(tokens_BQH, 0.5, np.random.default_rng(seed)) for seed in (0, 1))
    assert torch.equal(again, mixed_BQH)
    assert not torch.equal(other, mixed_BQH)


def test_mixed_tokens_are_for_training_and_not_for_validation(data: TrainingData, tmp_path: Path) -> None:
    losses, validated = [], []
    for mixup in (0.0, 1.0):
        phase = dataclasses.replace(EXPERTS, objective=TextSettings(tasks=("route",), mixup=mixup))
        objective = text_objective(make_tiny(), phase, data, RunOptions(tmp_path, bf16=False))
        validated.append(objective.validation_loss())
        torch.manual_seed(0)
        losses += [loss.item() for loss in objective.losses(np.arange(8), np.random.default_rng(0))]
    assert losses[0] != losses[1]
    assert validated[0] == validated[1]
