"""Small training data whose features tell the scene classes apart, and comparisons of a model's state."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from rsmoe_core.data.base import Sample
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import DEFAULT_EXPERTS, expert_targets_of
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.objectives.base import TrainingData
from rsmoe_core.training.phases import Phase, TextSettings
from rsmoe_core.words.expert_targets import AnnotationFacts

ALIGN = Phase(
    "align",
    ("qformer", "language"),
    TextSettings(tasks=("caption", "subtask")),
    epochs=3,
    learning_rate=1e-2,
    images_per_step=8,
)
EXPERTS = Phase(
    "experts", ("router", "objects"), TextSettings(tasks=("route",)), epochs=1, learning_rate=1e-2, images_per_step=8
)
ALIKE = dataclasses.replace(ALIGN, objective=TextSettings(tasks=("caption",)))
"""With `alike` and a model without dropout, nothing depends on how the images of a step are cut into parts."""
CAPTIONS = {"pond": "a pond is near a road .", "airport": "airplanes are in an airport .", "forest": "many trees ."}


@pytest.fixture
def data() -> TrainingData:
    """Thirty images of three classes, which features tell apart."""
    return make_data()


@pytest.fixture
def alike() -> TrainingData:
    """The same in one view, with captions of one length."""
    return make_alike()


def training_sample(sample: Sample) -> TrainingSample:
    facts = AnnotationFacts.of(sample.captions, sample.scene_class, sample.objects)
    return TrainingSample(sample, expert_targets_of(facts, DEFAULT_EXPERTS))


def make_data() -> TrainingData:
    rng = np.random.default_rng(0)
    centres = {scene_class: rng.normal(size=(4, 32)) for scene_class in CAPTIONS}
    samples, features = [], []
    for number in range(30):
        scene_class = list(CAPTIONS)[number % 3]
        sample = Sample(Path(f"{scene_class}_{number}.jpg"), "train", (CAPTIONS[scene_class],), scene_class)
        samples.append(training_sample(sample))
        features.append(centres[scene_class] + rng.normal(scale=0.2, size=(2, 4, 32)))
    return TrainingData(samples, FeatureBank.of([np.stack(features).astype(np.float16)]))


def make_alike() -> TrainingData:
    data = make_data()
    captions = ("a pond is near a road .", "a road is near a pond .")
    samples = [
        dataclasses.replace(one, sample=dataclasses.replace(one.sample, captions=(captions[number % 2],)))
        for number, one in enumerate(data.samples)
    ]
    return TrainingData(samples, FeatureBank.of([array[:, :1] for array in data.features.arrays]))


def state(model: RSMoE) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def changed(before: dict[str, Tensor], model: RSMoE) -> set[str]:
    return {key for key, value in model.state_dict().items() if not value.equal(before[key])}


def log_without_times(folder: Path) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
