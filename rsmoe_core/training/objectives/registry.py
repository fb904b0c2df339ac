"""Which objective belongs to which settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training.objectives.base import Objective, RunOptions, TrainingData
from rsmoe_core.training.objectives.classification import ClassificationObjective
from rsmoe_core.training.objectives.detection import DetectionObjective
from rsmoe_core.training.objectives.text import TextObjective
from rsmoe_core.training.phases import (
    ClassificationSettings,
    DetectionSettings,
    ObjectiveSettings,
    Phase,
    TextSettings,
)

OBJECTIVES: dict[type[ObjectiveSettings], Callable[..., Objective]] = {
    ClassificationSettings: ClassificationObjective,
    TextSettings: TextObjective,
    DetectionSettings: DetectionObjective,
}
"""Settings → the objective that is built from (model, phase, settings, training data, validation data, options)."""


def build_objective(
    model: RSMoE, phase: Phase, train: TrainingData, validation: TrainingData, options: RunOptions
) -> Objective:
    """The objective of a phase; freezes all parameters of the model that the phase does not train."""
    settings: Any = phase.objective
    return OBJECTIVES[type(settings)](model, phase, settings, train, validation, options)
