"""The model that a stage trains, of whatever kind: what `run` needs of it.

native.NativeTrainee     image encoder, Q-Former and language model in one folder
mixture.MixtureTrainee   adapters and the connector of a vision-language model of transformers
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from rsmoe_core.model.moe import ExpertDrafts
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import FeatureBank, ViewOptions
from rsmoe_core.training.objectives.base import Objective, RunOptions, TrainingData
from rsmoe_core.training.phases import Phase

Drafting = Callable[[Sequence[TrainingSample], FeatureBank, Sequence[int]], list[ExpertDrafts]]
"""What the experts generate for view 0 of some images: (all samples, all features, rows) → the drafts of each row."""


@dataclass(frozen=True)
class FeatureEncoder:
    """The frozen image encoder, and the views that it is fed."""

    network: nn.Module
    """pixels_BCHW → patches_BPD."""
    options: ViewOptions


class Trainee(Protocol):
    """A model in training."""

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of its experts."""

    @property
    def settings(self) -> dict[str, Any]:
        """What it is like, as plain values; a run is resumed with the same only."""

    @property
    def is_sharded(self) -> bool:
        """Whether its weights are spread over all processes, which then have to compute alike."""

    def prepare(self, phase: Phase) -> None:
        """Add the parts that a phase trains and the model lacks."""

    def select(self, phase: Phase) -> tuple[int, int]:
        """Freeze all that the phase does not train. Returns how many parameters it trains, and how many there are."""

    def feature_encoder(self, views: int, seed: int) -> FeatureEncoder | None:
        """What computes the features that objectives learn from; None where they read the images themselves."""

    def drafting(self) -> Drafting:
        """The experts as they are now."""

    def objective(self, phase: Phase, train: TrainingData, validation: TrainingData, options: RunOptions) -> Objective:
        """What the phase learns; freezes all that it does not train."""

    def save(self, folder: Path, *, half: bool = False) -> None:
        """Write the model folder. `half` stores matrices in float16 where the format has that."""

    def restored(self, folder: Path) -> Trainee:
        """This model with the weights in a folder that it was saved to."""
