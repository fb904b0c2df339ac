"""The values that cross the seam between the ground (`rsmoe_cli`) and the engine. Free of torch.

Request(image, valid)            ──▶ Engine.describe ──▶ Description, in the order of the requests
Request(image, valid, inquiry)   ──▶ Engine.answer   ──▶ Answer, likewise
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.questions.types import Inquiry

EXPERTS: tuple[str, ...] = ("theme", "objects", "relations")
"""The sub-tasks of the paper, in the order in which drafts are listed everywhere."""


UNKNOWN = "unknown"
"""The answer where there is none."""
SURE = 0.5
"""Confidence from which a thing is counted, and a tile says yes."""


@dataclass(frozen=True, eq=False)
class Request:
    """One image to be described, or to be asked about."""

    image: NDArray[np.uint8]
    """HxWx3, red-green-blue, 0-255, any size; row 0 is the top of the picture."""
    valid: NDArray[np.bool_] | None = None
    """HxW, true where the pixel was really observed; None means everywhere."""
    inquiry: Inquiry | None = None
    """What is asked of the image; None where it is to be described."""
    metres_per_pixel: float | None = None
    """Ground sample distance of `image`; None where nobody knows it."""


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


@dataclass(frozen=True)
class Found:
    """One thing that was found in an image and may be counted."""

    thing: str
    """Its name in the singular: `ship`."""
    x: float
    """Pixels of the request's image from its left edge to the thing's centre; the first pixel's centre is at 0.5."""
    y: float
    """Likewise from the top edge."""
    confidence: float
    """Probability that it is one, 0-1."""
    reach: float
    """Pixels of the request's image within which no second one of its kind can have its centre."""
    spread: float = 0.0
    """How far counts of such things are off in whole scenes: the standard deviation of the logarithm of found to there.
    Doubts about single things do not explain that, since a scene that looks unusual misleads all of them alike."""


@dataclass(frozen=True)
class Answer:
    """What the engine says to a question about one image."""

    text: str
    """`yes`, `no`, a whole number in digits, a kind of place, a place in the picture, a sentence, or `unknown`."""
    confidence: float
    """Probability that the text is right, 0-1."""
    evidence: str = ""
    """One line for people: what the answer rests on, or why there is none."""
    counts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """How many of each thing asked for are in the image, where the question made the engine count; by singular name."""
    found: tuple[Found, ...] = ()
    """Everything that may be one of the things counted, the doubtful (confidence under one half) included; empty for
    things whose number is told without saying where they are."""
    prompts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The router's prompt for each expert that was asked; experts that are not there were skipped."""
