"""A small engine for tests of the command line: what it returns follows from the colours of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

import rsmoe_core
from rsmoe_core.backends.base import Usage
from rsmoe_core.config import CaptionOptions
from rsmoe_core.questions.types import UNPARSED, ParsedQuestion
from rsmoe_core.roles import DEFAULT_EXPERTS
from rsmoe_core.types import Answer, Description, Detection, Generation, Request

DRAFTS = {"theme": "a colour", "objects": "pixels", "relations": "side by side"}


class FakeEngine:
    """Captions an image with its mean colour, and takes every bright spot in it for a ship.

    An image whose first pixel is `poison` makes the call fail, and so does a question with `poison_word` in it.
    """

    name = "fake"
    revision = "abc123"
    device = "cpu"
    dtype = "float32"
    checks_replies = False
    has_detectors = True

    def __init__(
        self,
        image_size: int = 32,
        batch_size: int = 4,
        poison: tuple[int, int, int] | None = None,
        poison_word: str | None = None,
        experts: tuple[str, ...] = DEFAULT_EXPERTS,
    ) -> None:
        self.image_size = image_size
        self.batch_size = batch_size
        self.poison = poison
        self.poison_word = poison_word
        self.experts = experts
        self.options = CaptionOptions()
        self.usage = Usage()
        self.batches: list[int] = []
        self.requests: list[Request] = []

    def describe(self, requests: Sequence[Request]) -> list[Description]:
        self._start(requests)
        return [self._describe(request) for request in requests]

    def answer(self, requests: Sequence[Request]) -> list[tuple[Answer, ...]]:
        self._start(requests)
        return [tuple(_answer(request, question) for question in request.questions) for request in requests]

    def _start(self, requests: Sequence[Request]) -> None:
        self.batches.append(len(requests))
        if self.poison is not None and any(tuple(request.image[0, 0]) == self.poison for request in requests):
            raise RuntimeError("poisoned image\nwith a second line")
        texts = [question.text for request in requests for question in request.questions]
        if self.poison_word is not None and any(self.poison_word in text for text in texts):
            raise RuntimeError("poisoned question")
        self.requests.extend(requests)

    def _describe(self, request: Request) -> Description:
        _check(request)
        assert not request.questions
        red, green, blue = request.image[request.valid].mean(axis=0)
        return Description(
            caption=f"mean colour {red:.0f} {green:.0f} {blue:.0f}",
            drafts={expert: Generation(DRAFTS.get(expert, f"draft of {expert}"), 0.5, 2) for expert in self.experts},
            confidence=0.5,
            prompts={expert: f"prompt for {expert}" for expert in self.experts},
        )


def _check(request: Request) -> None:
    assert request.image.dtype == np.uint8
    assert request.image.ndim == 3
    assert request.image.shape[2] == 3
    assert request.valid is not None
    assert request.valid.shape == request.image.shape[:2]
    assert request.valid.any(), "blank tiles are not for the engine"


def _answer(request: Request, question: ParsedQuestion) -> Answer:
    """Ships are the bright spots; there is nothing else; the scene class is the strongest colour."""
    _check(request)
    assert question.type != UNPARSED, "no engine can answer that"
    labels = [label for label in (question.subject, question.compared_with) if label is not None]
    spots = bright_spots(request.image) if "ship" in labels else []
    detections = tuple(Detection("ship", x, y, 0.9, nms_radius=4) for x, y in spots)
    counts = {label: float(len(detections)) if label == "ship" else 0.0 for label in labels}
    texts = {"count": str(len(detections)), "presence": "yes" if detections else "no"}
    colour = ("red place", "green place", "blue place")[int(request.image[request.valid].mean(axis=0).argmax())]
    text = texts.get(question.type, colour)
    return Answer(text, 0.9, f"{len(detections)} bright spots", counts, detections)


def replace_load(monkeypatch: pytest.MonkeyPatch, load: Callable[..., object]) -> None:
    """Put a function in the place of `rsmoe_core.load`, without importing the real one and torch with it."""
    monkeypatch.setitem(vars(rsmoe_core), "load", load)


def bright_spots(image: NDArray[np.uint8]) -> list[tuple[float, float]]:
    """Centres of connected groups of pixels that are almost white, as x and y."""
    left = {(int(x), int(y)) for y, x in np.argwhere(image.min(axis=2) > 240)}
    spots = []
    while left:
        group, front = [], [left.pop()]
        while front:
            x, y = front.pop()
            group.append((x, y))
            near = {(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)} & left
            left -= near
            front.extend(near)
        spots.append((float(np.mean([x for x, _ in group])) + 0.5, float(np.mean([y for _, y in group])) + 0.5))
    return sorted(spots)
