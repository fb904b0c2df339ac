"""What the training loop needs to know about what is learned.

    Phase.objective (settings) ─Trainee.objective─▶ Objective ─losses─▶ loop

classification.ClassificationObjective   image encoder: scene classes and words, from pixels
text.TextObjective                       Q-Former, language model, adapters: texts, from features of the image encoder
detection.DetectionObjective             a detector: single objects, from crops of images with boxes
replies.ReplyObjective                   of a mixture on a base, connector and adapters: texts, from images or features
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
from rsmoe_core.progress import Progress, progress_bar
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.features import FeatureBank
from rsmoe_core.training.phases import Phase


@dataclass(frozen=True)
class TrainingData:
    """Images to learn from; row i of the features belongs to `samples[i]`."""

    samples: Sequence[TrainingSample]
    features: FeatureBank
    """Empty for objectives that learn from pixels."""

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class RunOptions:
    """How a phase is run; what is learned is up to its objective."""

    out: Path
    """Folder of the phase."""
    seed: int = 0
    bf16: bool = True
    """Run forward passes in bfloat16 where that is safe."""
    save_every: int = 200
    """Steps between two checkpoints."""
    max_steps: int | None = None
    """Stop after this many steps of the phase; the learning rate falls as if it ran to its end."""
    views: int = 1
    """Views of each image, for objectives that read the images themselves; with features, their bank knows."""
    accumulate: int = 1
    """Parts of a step's images that each process goes through one after the other, with one of them in memory."""
    in_step: bool = False
    """Whether all processes have to compute alike, since each has a part of the weights (see `sharding`)."""
    progress: Progress = progress_bar
    """How the progress through the steps is shown."""


class Objective(Protocol):
    """What is learned, from which images, and how good the model is at it."""

    @property
    def trained(self) -> Sequence[tuple[str, nn.Parameter]]:
        """The parameters that change, by name; all others are frozen."""

    @property
    def buffers(self) -> Sequence[tuple[str, Tensor]]:
        """Running statistics that change without gradients, by name; a resumed run needs them too."""

    def __len__(self) -> int:
        """Number of images to learn from."""

    def losses(self, images: NDArray[np.int64], rng: np.random.Generator) -> Iterator[Tensor]:
        """The losses over one part of a step's images, given by their indices.

        Backward is called on each before the next is asked for. All random numbers come from `rng` and torch's global
        generator.
        """

    def validate(self) -> tuple[float, dict[str, float]]:
        """A score on the validation images, the higher the better, and figures for the log. Changes nothing."""

    def calibrate(self) -> None:
        """Set what follows from the last validation in the model's configuration.

        Called before the model is stored as the best so far. Most objectives have nothing to set.
        """


def select_parameters(model: RSMoE, phase: Phase) -> list[tuple[str, nn.Parameter]]:
    """Freeze the model except for what the phase trains, and return that by name."""
    model.requires_grad_(False)
    selected: list[tuple[str, nn.Parameter]] = []
    for part in phase.trained_parts(model.config.experts):
        if part in model.roles:
            selected += lora.parameters_of(model.language, [part])
        elif part in model.detectors:
            selected += [(f"{part}.{key}", p) for key, p in model.detectors[part].named_parameters()]
        else:
            selected += [(f"{part}.{key}", p) for key, p in lora.without_adapters(getattr(model, part))]
    for _, parameter in selected:
        parameter.requires_grad_(True)
    return selected
