"""A small engine for tests of the scene side: what it says follows from the colours of the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.types import EXPERTS, Answer, Description, Detection, Request


class FakeEngine:
    """Describes a picture by its mean colour, and takes every bright spot in it for a ship.

    A picture whose first pixel is `poison` breaks the batch it is in.
    """

    name = "fake"
    revision = "abc123"
    device = "cpu"
    dtype = "float32"

    def __init__(self, image_size: int = 32, batch_size: int = 4, poison: tuple[int, int, int] | None = None) -> None:
        self.image_size = image_size
        self.batch_size = batch_size
        self.poison = poison
        self.batches: list[int] = []
        self.requests: list[Request] = []

    def describe(self, requests: Sequence[Request]) -> list[Description]:
        self._look(requests)
        return [_describe(request) for request in requests]

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        self._look(requests)
        return [_answer(request) for request in requests]

    def _look(self, requests: Sequence[Request]) -> None:
        self.batches.append(len(requests))
        if self.poison is not None and any(tuple(request.image[0, 0]) == self.poison for request in requests):
            raise RuntimeError("poisoned picture\nwith a second line")
        self.requests.extend(requests)


def _check(request: Request) -> None:
    assert request.image.dtype == np.uint8
    assert request.image.ndim == 3
    assert request.image.shape[2] == 3
    assert request.valid is not None
    assert request.valid.shape == request.image.shape[:2]
    assert request.valid.any(), "blank tiles are not for the engine"


def _describe(request: Request) -> Description:
    _check(request)
    red, green, blue = request.image[request.valid].mean(axis=0)
    return Description(
        caption=f"mean colour {red:.0f} {green:.0f} {blue:.0f}",
        theme="a colour",
        objects="pixels",
        relations="side by side",
        confidence=0.5,
        prompts={expert: f"prompt for {expert}" for expert in EXPERTS},
    )


def _answer(request: Request) -> Answer:
    """Ships are the bright spots; of anything else there is nothing; places are called by their strongest colour."""
    _check(request)
    assert request.parsed is not None
    assert request.parsed.type != "unknown", "nobody can answer that"
    things = [thing for thing in (request.parsed.subject, request.parsed.compared_with) if thing is not None]
    spots = bright_spots(request.image) if "ship" in things else []
    found = tuple(Detection("ship", x, y, 0.9, nms_radius=4) for x, y in spots)
    counts = {thing: float(len(found)) if thing == "ship" else 0.0 for thing in things}
    texts = {"count": str(len(found)), "presence": "yes" if found else "no"}
    colour = ("red place", "green place", "blue place")[int(request.image[request.valid].mean(axis=0).argmax())]
    text = texts.get(request.parsed.type, colour)
    return Answer(text, 0.9, f"{len(found)} bright spots", counts, found)


def bright_spots(image: NDArray[np.uint8]) -> list[tuple[float, float]]:
    """Middles of connected groups of pixels that are almost white, as x and y."""
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
        spots.append((np.mean([x for x, _ in group]) + 0.5, np.mean([y for _, y in group]) + 0.5))
    return sorted(spots)
