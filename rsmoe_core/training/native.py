"""The native model in training; see `trainee.Trainee`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsmoe_core.backends.native import NativeBackend
from rsmoe_core.checkpoint.load import for_inference, load_model, save_model
from rsmoe_core.inference.captions import draft_captions
from rsmoe_core.model.detector import DETECTORS
from rsmoe_core.model.moe import ExpertDrafts
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.model.vision.base import find_encoder
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import FeatureBank, ViewOptions
from rsmoe_core.training.objectives.base import Objective, RunOptions, TrainingData, select_parameters
from rsmoe_core.training.objectives.registry import build_objective
from rsmoe_core.training.phases import Phase
from rsmoe_core.training.trainee import Drafting, FeatureEncoder


class NativeTrainee:
    """See `trainee.Trainee`."""

    def __init__(self, model: RSMoE) -> None:
        """`model` is in the form for training."""
        self.model = model

    @property
    def experts(self) -> tuple[str, ...]:
        """See `Trainee`."""
        return self.model.config.experts

    is_sharded = False

    @property
    def settings(self) -> dict[str, Any]:
        """See `Trainee`."""
        return self.model.config.to_dict()

    def prepare(self, phase: Phase) -> None:
        """Add the detectors that a phase trains."""
        for part in phase.trains:
            if part in DETECTORS and part not in self.model.detectors:
                device = self._device
                self.model.add_detector(part)
                self.model.to(device)

    def select(self, phase: Phase) -> tuple[int, int]:
        """See `Trainee`."""
        trained = sum(parameter.numel() for _, parameter in select_parameters(self.model, phase))
        return trained, sum(parameter.numel() for parameter in self.model.parameters())

    def feature_encoder(self, views: int, seed: int) -> FeatureEncoder:
        """See `Trainee`."""
        vision = self.model.config.vision
        spec = find_encoder(vision)
        encoder = spec.prepare_for_inference(copy.deepcopy(self.model.vision))
        return FeatureEncoder(encoder, ViewOptions(views, vision.image_size, spec.normalisation(vision), seed))

    def drafting(self) -> Drafting:
        """See `Trainee`."""
        backend = NativeBackend(for_inference(self.model))

        def drafts(samples: Sequence[TrainingSample], features: FeatureBank, rows: Sequence[int]) -> list[ExpertDrafts]:
            encoded = backend.encode_patches(features.patches(rows))
            return draft_captions(backend, encoded, range(len(rows)), self.experts, self.model.config.decoding)[1]

        return drafts

    def objective(self, phase: Phase, train: TrainingData, validation: TrainingData, options: RunOptions) -> Objective:
        """See `Trainee`."""
        return build_objective(self.model, phase, train, validation, options)

    def save(self, folder: Path, *, half: bool = False) -> None:
        """See `Trainee`."""
        save_model(self.model, folder, half=half)

    def restored(self, folder: Path) -> NativeTrainee:
        """See `Trainee`."""
        return NativeTrainee(load_model(folder, self._device))

    @property
    def _device(self) -> str:
        return str(next(self.model.parameters()).device)
