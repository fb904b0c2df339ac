"""What a phase learns, behind one seam: the loop asks an objective for losses and knows nothing else about it.

recognition.ClassificationObjective   the image encoder: kinds of places and words, from pictures
teaching.TextObjective         texts, word by word, from the features of a settled image encoder
teaching.FinetuneObjective           the same from few pictures
counting.DetectionObjective         the detector: single things, from windows of pictures in which they are boxed
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from rsmoe_core.model import lora
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.stages import Phase


@dataclass(frozen=True)
class TrainingData:
    """Pictures to learn from; row i of the features belongs to `training_samples[i]`."""

    training_samples: Sequence[TrainingSample]
    features: FeatureBank
    """Empty as long as the image encoder still changes."""

    def __len__(self) -> int:
        return len(self.training_samples)


@dataclass(frozen=True)
class RunOptions:
    """How a phase is run; what is learned is the phase's own business."""

    out: Path
    """Folder for `last/` (weights and optimiser to resume from) and `log.jsonl`."""
    seed: int = 0
    bf16: bool = True
    """Forward passes in bfloat16 where that is safe."""
    save_every: int = 200
    """Steps between two checkpoints."""
    max_steps: int | None = None
    """Stop early after this many steps of the phase; the learning rate falls as if it were run to its end."""
    accumulate: int = 1
    """Parts of a step's pictures that each process goes through one after the other, to have but one in memory."""


class Objective(Protocol):
    """What the loop needs to know of what is learned."""

    @property
    def trained(self) -> Sequence[tuple[str, nn.Parameter]]:
        """The parameters that change, by name; all others are frozen."""

    @property
    def statistics(self) -> Sequence[tuple[str, Tensor]]:
        """Running figures that change without gradients, by name; a resumed run needs them too."""

    def __len__(self) -> int:
        """Pictures to learn from."""

    def losses(self, images: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
        """The losses over one part of a step's pictures, those of these numbers; backward is called on each before the
        next.

        `rng` and torch's global generator are the only sources of chance.
        """

    def validate(self) -> tuple[float, dict[str, float]]:
        """How good it is on the pictures held out: one score, the higher the better, and figures for the log."""


def select_parameters(model: RSMoE, phase: Phase) -> list[tuple[str, nn.Parameter]]:
    """Freeze the model but for what the phase trains, and return that by name."""
    model.requires_grad_(False)
    chosen: list[tuple[str, nn.Parameter]] = []
    for part in phase.trains:
        if part in model.roles:
            chosen += lora.parameters_of(model.language, [part])
        elif part in model.detectors:
            chosen += [(f"{part}.{key}", p) for key, p in model.detectors[part].named_parameters()]
        else:
            chosen += [(f"{part}.{key}", p) for key, p in lora.without_adapters(getattr(model, part))]
    for _, parameter in chosen:
        parameter.requires_grad_(True)
    return chosen
