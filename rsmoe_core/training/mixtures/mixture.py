"""A mixture on a base in training; see `trainee.Trainee`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch

from rsmoe_core.checkpoint.mixture import load_weights, read_mixture, save_mixture
from rsmoe_core.inference.captions import draft_captions
from rsmoe_core.model.mixture_model import CONNECTOR, MixtureModel
from rsmoe_core.model.moe import ExpertDrafts
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import FeatureBank, ViewOptions
from rsmoe_core.training.mixtures.backend import in_batches, mixture_backend
from rsmoe_core.training.objectives.base import Objective, RunOptions, TrainingData
from rsmoe_core.training.objectives.replies import ReplyObjective, encode_views
from rsmoe_core.training.phases import Phase, TextSettings
from rsmoe_core.training.trainee import Drafting, FeatureEncoder


class MixtureTrainee:
    """See `trainee.Trainee`."""

    def __init__(self, model: MixtureModel, *, bf16: bool, is_sharded: bool = False) -> None:
        self.model, self._bf16, self.is_sharded = model, bf16, is_sharded

    @property
    def experts(self) -> tuple[str, ...]:
        """See `Trainee`."""
        return self.model.config.experts

    @property
    def settings(self) -> dict[str, Any]:
        """See `Trainee`."""
        return self.model.config.to_dict()

    def prepare(self, phase: Phase) -> None:
        """A connector that is trained has a copy of its own, in float32."""
        if CONNECTOR in phase.trains:
            self.model.own_connector()

    def select(self, phase: Phase) -> tuple[int, int]:
        """See `Trainee`."""
        network = self.model.model
        network.requires_grad_(False)
        selected = [parameter for _, parameter in self.model.parameters_of(phase.trained_parts(self.experts))]
        for parameter in selected:
            parameter.requires_grad_(True)
        return sum(p.numel() for p in selected), sum(p.numel() for p in network.parameters())

    def feature_encoder(self, views: int, seed: int) -> FeatureEncoder | None:
        """The image encoder, where the class can be told its features later."""
        if self.model.reuse != "encoder":
            return None
        size, normalisation = self.model.prompting.image_size, self.model.normalisation
        return FeatureEncoder(self.model.image_encoder(), ViewOptions(views, size, normalisation, seed))

    def drafting(self) -> Drafting:
        """See `Trainee`."""
        backend, model = mixture_backend(self.model), self.model

        def drafts(samples: Sequence[TrainingSample], features: FeatureBank, rows: Sequence[int]) -> list[ExpertDrafts]:
            written: list[ExpertDrafts] = []
            for part in in_batches(rows, backend):
                with torch.no_grad(), model.autocast(self._bf16):
                    encoded = encode_views(model, samples, features, part, [0] * len(part), 0)
                    images = range(len(part))
                    written += draft_captions(backend, encoded, images, self.experts, model.config.decoding)[1]
            return written

        return drafts

    def objective(self, phase: Phase, train: TrainingData, validation: TrainingData, options: RunOptions) -> Objective:
        """See `Trainee`."""
        self.select(phase)
        return ReplyObjective(self.model, phase, cast(TextSettings, phase.objective), train, validation, options)

    def save(self, folder: Path, *, half: bool = False) -> None:
        """See `Trainee`. The format has no halves: adapters stay in float32, in which they were trained."""
        save_mixture(folder, self.model.config, self.model.model, connector=self.model.has_connector)

    def restored(self, folder: Path) -> MixtureTrainee:
        """See `Trainee`. The base stays where it is."""
        load_weights(self.model.model, read_mixture(folder))
        return self
