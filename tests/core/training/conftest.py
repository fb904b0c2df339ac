"""A small classroom: pictures whose features tell their classes apart, and how a model's state is compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from rsmoe_core.data.base import Sample
from rsmoe_core.data.targets import derive
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.objectives.base import TrainingData
from rsmoe_core.training.stages import Phase

ALIGN = Phase(
    "align",
    "teach",
    ("qformer", "language"),
    tasks=("caption", "subtask"),
    epochs=3,
    learning_rate=1e-2,
    images_per_step=8,
)
EXPERTS = Phase(
    "experts", "teach", ("router", "objects"), tasks=("route",), epochs=1, learning_rate=1e-2, images_per_step=8
)
SAID = {"pond": "a pond is near a road .", "airport": "airplanes are in an airport .", "forest": "many trees ."}


ALIKE = dataclasses.replace(ALIGN, tasks=("caption",))
"""With `alike` and a model without dropout, nothing depends on how a step's pictures are cut into parts."""


@pytest.fixture
def material() -> TrainingData:
    """Thirty pictures of three classes, which features tell apart."""
    return make_material()


@pytest.fixture
def alike() -> TrainingData:
    """The same in one view, with captions of one length."""
    return make_alike()


def make_material() -> TrainingData:
    rng = np.random.default_rng(0)
    centres = {scene: rng.normal(size=(4, 32)) for scene in SAID}
    training_samples, features = [], []
    for number in range(30):
        scene = list(SAID)[number % 3]
        sample = Sample(Path(f"{scene}_{number}.jpg"), "train", (SAID[scene],), scene)
        training_samples.append(TrainingSample(sample, derive(sample), {}))
        features.append(centres[scene] + rng.normal(scale=0.2, size=(2, 4, 32)))
    return TrainingData(training_samples, FeatureBank.of([np.stack(features).astype(np.float16)]))


def make_alike() -> TrainingData:
    material = make_material()
    sentences = ("a pond is near a road .", "a road is near a pond .")
    training_samples = [
        dataclasses.replace(
            training_sample, sample=dataclasses.replace(training_sample.sample, captions=(sentences[number % 2],))
        )
        for number, training_sample in enumerate(material.training_samples)
    ]
    return TrainingData(training_samples, FeatureBank.of([array[:, :1] for array in material.features.arrays]))


def state(model: RSMoE) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def changed(before: dict[str, Tensor], model: RSMoE) -> set[str]:
    return {key for key, value in model.state_dict().items() if not value.equal(before[key])}
