"""A small engine for tests of the scene side: what it says follows from the mean colour of the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsmoe_core.types import EXPERTS, Description, Request


class FakeEngine:
    """Describes a picture by its mean colour; a picture whose first pixel is `poison` breaks the batch it is in."""

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
        self.batches.append(len(requests))
        if self.poison is not None and any(tuple(request.image[0, 0]) == self.poison for request in requests):
            raise RuntimeError("poisoned picture\nwith a second line")
        self.requests.extend(requests)
        return [_describe(request) for request in requests]


def _describe(request: Request) -> Description:
    assert request.image.dtype == np.uint8
    assert request.image.ndim == 3
    assert request.image.shape[2] == 3
    assert request.valid is not None
    assert request.valid.shape == request.image.shape[:2]
    assert request.valid.any(), "blank tiles are not for the engine"
    red, green, blue = request.image[request.valid].mean(axis=0)
    return Description(
        caption=f"mean colour {red:.0f} {green:.0f} {blue:.0f}",
        theme="a colour",
        objects="pixels",
        relations="side by side",
        confidence=0.5,
        prompts={expert: f"prompt for {expert}" for expert in EXPERTS},
    )
