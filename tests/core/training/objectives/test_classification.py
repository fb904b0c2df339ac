from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.objectives.classification import ClassificationObjective, _word_shares, has_targets
from rsmoe_core.training.phases import ClassificationSettings, Phase
from tests.core.training.conftest import changed, state, training_sample
from tests.tiny import fit_batch_norms, make_tiny

SETTINGS = ClassificationSettings()
ADAPT = Phase("adapt", ("vision",), SETTINGS, epochs=6, learning_rate=5e-3, images_per_step=12)


@pytest.fixture
def images(karpathy_folder: Path) -> TrainingData:
    samples = read_dataset(karpathy_folder).split("train")
    return TrainingData([training_sample(sample) for sample in samples], FeatureBank.of([]))


def adapt(
    images: TrainingData, out: Path, **settings: int
) -> tuple[ClassificationObjective, dict[str, torch.Tensor], set[str]]:
    model, options = make_tiny(experts=False), RunOptions(out, bf16=False, **settings)
    fit_batch_norms(model.vision)
    before = state(model)
    torch.manual_seed(0)
    objective = ClassificationObjective(model, ADAPT, SETTINGS, images, images, options)
    run_phase(objective, ADAPT, options, lambda epoch: {})
    return objective, state(model), changed(before, model)


def test_the_image_encoder_alone_learns_scene_classes(images: TrainingData, tmp_path: Path) -> None:
    objective, _, found = adapt(images, tmp_path)
    score, figures = objective.validate()
    assert score == figures["validation_accuracy"] > 0.6, "four classes of one colour each"
    assert {key.split(".")[0] for key in found} == {"vision"}
    assert any("running_mean" in key for key in found)


def test_a_stopped_run_is_resumed_as_if_it_had_not_been(images: TrainingData, tmp_path: Path) -> None:
    _, uninterrupted, _ = adapt(images, tmp_path / "whole")
    adapt(images, tmp_path / "stopped", max_steps=4)
    _, resumed, _ = adapt(images, tmp_path / "stopped")
    assert all(torch.equal(value, resumed[key]) for key, value in uninterrupted.items())


def test_a_scene_class_that_is_not_in_the_training_data_is_ignored(images: TrainingData, tmp_path: Path) -> None:
    for scene_class in ("harbour", None):
        renamed = [
            dataclasses.replace(one, sample=dataclasses.replace(one.sample, scene_class=scene_class))
            for one in images.samples
        ]
        validation = TrainingData(renamed, images.features)
        model = make_tiny(experts=False)
        objective = ClassificationObjective(model, ADAPT, SETTINGS, images, validation, RunOptions(tmp_path))
        score, figures = objective.validate()
        assert score == -figures["validation_loss"] < 0, "no accuracy is known, so the loss decides"
        assert set(figures) == {"validation_loss"}


@pytest.mark.filterwarnings("error")
def test_words_are_learned_where_no_image_has_a_scene_class(images: TrainingData, tmp_path: Path) -> None:
    samples = [
        dataclasses.replace(one, sample=dataclasses.replace(one.sample, scene_class=None)) for one in images.samples
    ]
    assert has_targets(samples)
    assert not has_targets(samples[:20]), "no word is in the captions of 30 images"
    objective, _, found = adapt(TrainingData(samples, images.features), tmp_path)
    score, figures = objective.validate()
    assert score == -figures["validation_loss"] < 0
    assert {key.split(".")[0] for key in found} == {"vision"}


def test_words_are_shares_of_captions_and_rare_ones_are_left_out(images: TrainingData) -> None:
    shares = _word_shares(images.samples)  # 36 images: "a pond is near a road ." four times, another caption once
    assert shares["near"] == pytest.approx(0.8)
    assert shares["it"] == pytest.approx(0.2)
    assert "pond" not in shares, "in the captions of nine images only"
