"""The values that cross the seam between the ground (`rsmoe_cli`) and the engine. Free of torch.

Request(image, valid)              ──▶ Engine.describe ──▶ Description, in the order of the requests
Request(image, valid, questions)   ──▶ Engine.answer   ──▶ an Answer to each question, likewise
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.questions.types import ParsedQuestion

UNKNOWN = "unknown"
"""The answer where there is none."""
SURE = 0.5
"""Confidence from which an object is counted, and a tile says yes."""


@dataclass(frozen=True, eq=False)
class Request:
    """One image to be described, or to be asked about."""

    image: NDArray[np.uint8]
    """HxWx3, red-green-blue, 0-255, any size; row 0 is the top of the image."""
    valid: NDArray[np.bool_] | None = None
    """HxW, true where the pixel was observed; None means everywhere."""
    questions: tuple[ParsedQuestion, ...] = ()
    """What is asked about the image; empty where it is to be described."""
    metres_per_pixel: float | None = None
    """Ground sample distance of `image`; None where it is unknown."""


@dataclass(frozen=True)
class Generation:
    """One text that a language model generated."""

    text: str
    confidence: float | None = None
    """Geometric mean of the probabilities of its tokens, end of text included, 0-1; None where they are unknown."""
    tokens: int = 0
    """Number of tokens, end of text left out."""
    error: str | None = None
    """One line that says why there is no text: the model refused, or its reply could not be used; None where there is
    one."""
    failed: bool = False
    """Whether the error is one of the request, not of the reply, so that another try may succeed."""


@dataclass(frozen=True)
class Description:
    """What the engine says about one image."""

    caption: str
    """The fused sentence."""
    drafts: Mapping[str, Generation] = field(default_factory=lambda: MappingProxyType({}))
    """What each expert wrote, by role; an expert that was left out is missing."""
    confidence: float | None = None
    """Geometric mean of the probabilities of the caption's tokens, 0-1; None where they are unknown."""
    prompts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The Instruction Router's prompt for each expert, by role."""
    problems: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Why a role has nothing to say, by role: its reply could not be used, or its request failed."""
    error: str | None = None
    """One line that says why there is no caption; None where there is one."""

    def draft(self, role: str) -> str:
        """The text of one expert's draft; empty where there is none."""
        return self.drafts[role].text if role in self.drafts else ""


@dataclass(frozen=True)
class Detection:
    """One object that was found in an image and may be counted."""

    label: str
    """Name of the object in the singular: `ship`."""
    x: float
    """Pixels of the request's image from its left edge to the object's centre; the first pixel's centre is at 0.5."""
    y: float
    """Likewise from the top edge."""
    confidence: float
    """Probability that it is one, 0-1."""
    nms_radius: float
    """Pixels of the request's image within which no second object of this label can have its centre."""
    log_count_std: float = 0.0
    """Standard deviation of the logarithm of found to true counts in whole scenes. Doubts about single objects do not
    explain it, since a scene that looks unusual misleads all of them alike."""


@dataclass(frozen=True)
class Answer:
    """What the engine says to one question about one image."""

    text: str
    """`yes`, `no`, a whole number in digits, a scene class, a location, a sentence, or `unknown`."""
    confidence: float | None
    """Probability that the text is right, 0-1; None where it is unknown."""
    evidence: str = ""
    """One line for people: what the answer rests on, or why there is none."""
    counts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """How many of each object asked for are in the image, where the question made the engine count; by name."""
    detections: tuple[Detection, ...] = ()
    """Everything that may be one of the objects counted, doubtful ones (confidence under one half) included; empty for
    objects whose number is known without their locations."""
    prompts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The router's prompt for each expert that was asked; an expert that was skipped is missing."""
    error: str | None = None
    """One line that says why nothing could be asked; None where it could. It is not the same as `unknown`."""
