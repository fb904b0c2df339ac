"""The values that cross the seam between the ground (`rsmoe_cli`) and the engine. Free of torch.

Request(image, valid, task) ──▶ Engine.describe ──▶ Description, in the order of the requests
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Task = Literal["caption"]
"""What an engine can be asked to do with an image."""

EXPERTS: tuple[str, ...] = ("theme", "objects", "relations")
"""The sub-tasks of the paper, in the order in which drafts are listed everywhere."""


@dataclass(frozen=True, eq=False)
class Request:
    """One image to be described."""

    image: NDArray[np.uint8]
    """HxWx3, red-green-blue, 0-255, any size; row 0 is the top of the picture."""
    valid: NDArray[np.bool_] | None = None
    """HxW, true where the pixel was really observed; None means everywhere."""
    task: Task = "caption"
    """What to do with the image."""


@dataclass(frozen=True)
class Description:
    """What the engine says about one image."""

    caption: str
    """The fused sentence."""
    theme: str
    """Draft of the theme expert: the kind of place."""
    objects: str
    """Draft of the objects expert: what is there, and how much of it."""
    relations: str
    """Draft of the relations expert: what stands where to what."""
    confidence: float
    """Geometric mean of the probabilities of the caption's tokens, 0-1."""
    prompts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The Instruction Router's prompt for each expert, keyed by expert name."""
