from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from rsmoe_core.data.targets import derive

from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.objectives.classification import ClassificationObjective, _word_shares
from rsmoe_core.training.stages import Phase
from tests.core.conftest import make_tiny
from tests.core.training.conftest import changed, state
from tests.tiny import wake

ADAPT = Phase("adapt", "recognise", ("vision",), epochs=6, learning_rate=5e-3, images_per_step=12)


@pytest.fixture
def pictures(karpathy_folder: Path) -> TrainingData:
    samples = read_dataset(karpathy_folder).split("train")
    return TrainingData([TrainingSample(sample, derive(sample), {}) for sample in samples], FeatureBank.of([]))


def adapt(
    pictures: TrainingData, out: Path, **options: int
) -> tuple[ClassificationObjective, dict[str, torch.Tensor], set[str]]:
    model, session = make_tiny(experts=False), RunOptions(out, bf16=False, **options)
    wake(model.vision)
    before = state(model)
    torch.manual_seed(0)
    objective = ClassificationObjective(model, ADAPT, pictures, pictures, session)
    run_phase(objective, ADAPT, session, lambda epoch: {})
    return objective, state(model), changed(before, model)


def test_kinds_of_places_are_learned_by_the_image_encoder_alone(pictures: TrainingData, tmp_path: Path) -> None:
    objective, _, found = adapt(pictures, tmp_path)
    score, figures = objective.validate()
    assert score == figures["validation_accuracy"] > 0.6, "four classes of one colour each"
    assert {key.split(".")[0] for key in found} == {"vision"}
    assert any("running_mean" in key for key in found)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(pictures: TrainingData, tmp_path: Path) -> None:
    _, unbroken, _ = adapt(pictures, tmp_path / "unbroken")
    adapt(pictures, tmp_path / "broken", max_steps=4)
    _, resumed, _ = adapt(pictures, tmp_path / "broken")
    assert all(torch.equal(value, resumed[key]) for key, value in unbroken.items())


def test_a_place_that_was_not_learned_counts_for_nothing(pictures: TrainingData, tmp_path: Path) -> None:
    def renamed(scene: str | None) -> TrainingData:
        training_samples = [
            dataclasses.replace(s, sample=dataclasses.replace(s.sample, scene_class=scene)) for s in pictures.training_samples
        ]
        return TrainingData(training_samples, pictures.features)

    for scene in ("harbour", None):
        objective = ClassificationObjective(
            make_tiny(experts=False), ADAPT, pictures, renamed(scene), RunOptions(tmp_path)
        )
        accuracy, figures = objective.validate()
        assert accuracy == 0
        assert figures["validation_loss"] > 0


def test_words_are_shares_of_sentences_and_rare_ones_are_left_out(pictures: TrainingData) -> None:
    shares = _word_shares(
        pictures.training_samples
    )  # 36 pictures: "a pond is near a road ." 4 times, another sentence once
    assert shares["near"] == pytest.approx(0.8)
    assert shares["it"] == pytest.approx(0.2)
    assert "pond" not in shares, "said of nine pictures only"
