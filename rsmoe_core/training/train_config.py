"""What to train on, and how: the settings of a run that no stage decides. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainConfig:
    """What to train on, and how."""

    data: tuple[Path, ...]
    """Folders of annotated images; their `train` splits are used together."""
    out: Path
    """Folder of the run."""
    seed: int = 0
    views: int = 2
    """Views of each image: itself and random augmentations."""
    validation_split: float = 0.06
    """Share of the image groups that are held out to choose the best epoch by."""
    accumulate: int = 1
    """Parts of each step's images, of which one is in memory at a time."""
    max_steps: int | None = None
    """Stop each phase after this many steps and use the model as it is then, to try things out. A later run without it,
    or with more steps, resumes from there."""
    max_images: int | None = None
    """Use the first so many images of each folder only, to try things out."""
    device: str = "cpu"
    """Where to compute."""
    bf16: bool = True
    """Run forward passes in bfloat16."""
    quantize: str | None = None
    """Of a mixture on a base: how its weights are made smaller, such as `4bit`; None to keep them as they are."""
    gradient_checkpointing: bool = False
    """Of a mixture on a base: keep one activation of each layer, and compute the others again for the gradients."""
