"""Marked pictures → windows for the detector: pixels and the heat that should rise at the centre of each thing.

    AnnotatedImage ─cut─▶ Window(image, centres) ─turned, recoloured─▶ Window ─heat─▶ heat_hw

Shapes: H = W = SIDE pixels of the enlarged picture, h = w = SIDE / CELL cells, N things.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsmoe_core.data.augment import SLIGHT, recoloured, stretched
from rsmoe_core.data.base import Box, read_image
from rsmoe_core.model.detector import CELL, DETECTOR_CLASSES

SIDE = 256
"""Pixels of a window's side, in the enlarged picture."""
_KEPT = 1024
"""Decoded pictures that are kept in memory."""
_AT_A_THING = 0.6
"""Share of the windows that are laid over a thing, where the picture holds one."""
_SCALES = (0.75, 1.35)
"""Limits of the random factor on a cls's own scale."""
_STRETCH_SHARE = 0.3
# Spread of the heat, in cells: a sixth of the thing's size within limits.
_SPREAD, _NARROWEST, _WIDEST = 1 / 6, 0.7, 3.0


@dataclass(frozen=True)
class AnnotatedImage:
    """A picture in which every thing of one cls is boxed; there may be none."""

    image: Path
    """The picture's file."""
    cls: str
    """A name of `DETECTOR_CLASSES`."""
    boxes: tuple[Box, ...]
    """Every one of its things."""
    metres_per_pixel: float | None = None
    """Ground sample distance, where it is known."""


@dataclass(frozen=True, eq=False)
class Window:
    """A square cut of the enlarged picture."""

    image_HWC: NDArray[np.uint8]
    boxes_N4: NDArray[np.float64]
    """Centre x, centre y, width and height, in pixels of the window; only things whose centre lies in it."""


def draw_crop(picture: AnnotatedImage, rng: np.random.Generator) -> Window:
    """A random window of the picture, seen anew; the same generator state gives the same window."""
    window = _turned(_cut(picture, rng), rng)
    image = stretched(window.image_HWC, rng) if rng.random() < _STRETCH_SHARE else window.image_HWC
    return Window(recoloured(image, rng, SLIGHT), window.boxes_N4)


def heatmap_of(boxes_N4: NDArray[np.float64]) -> NDArray[np.float32]:
    """heat_hw: 1 in the cell of each thing's centre, falling off around it."""
    cells = SIDE // CELL
    heat = np.zeros((cells, cells), np.float32)
    rows, columns = np.mgrid[:cells, :cells]
    for x, y, width, height in boxes_N4:
        column, row = (min(cells - 1, int(v / CELL)) for v in (x, y))
        spread = float(np.clip(np.sqrt(width * height) / CELL * _SPREAD, _NARROWEST, _WIDEST))
        distance = (rows - row) ** 2 + (columns - column) ** 2
        np.maximum(heat, np.exp(-distance / (2 * spread**2)), out=heat)
    return heat


@lru_cache(maxsize=_KEPT)
def _pixels(path: Path) -> NDArray[np.uint8]:
    return read_image(path)


def _cut(picture: AnnotatedImage, rng: np.random.Generator) -> Window:
    image = _pixels(picture.image)
    boxes_N4 = np.array(picture.boxes, np.float64).reshape(-1, 4)
    height, width = image.shape[:2]
    wanted = DETECTOR_CLASSES[picture.cls].enlargement(picture.metres_per_pixel) * rng.uniform(*_SCALES)
    extent = min(SIDE / wanted, height, width)
    scale = SIDE / extent
    if len(boxes_N4) and rng.random() < _AT_A_THING:
        middle = boxes_N4[rng.integers(len(boxes_N4)), :2] + rng.uniform(-0.4, 0.4, 2) * extent
        corner = middle - extent / 2
    else:
        corner = rng.uniform(0, 1, 2) * (width - extent, height - extent)
    left, top = np.clip(corner, 0, (width - extent, height - extent))
    box = (left, top, left + extent, top + extent)
    cut = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
    placed = (boxes_N4 - (left, top, 0, 0)) * scale
    inside = ((placed[:, :2] >= 0) & (placed[:, :2] < SIDE)).all(axis=1)
    return Window(np.asarray(cut), placed[inside])


def _turned(window: Window, rng: np.random.Generator) -> Window:
    """Mirrored or not, then turned by 0 to 3 quarters; each of the eight ways is as likely."""
    image, boxes = window.image_HWC, window.boxes_N4.copy()
    if rng.random() < 0.5:
        image = image[:, ::-1]
        boxes[:, 0] = SIDE - boxes[:, 0]
    for _ in range(int(rng.integers(4))):
        image = np.rot90(image)  # anticlockwise: the right edge becomes the top one
        x, y, width, height = boxes.T.copy()
        boxes = np.stack([y, SIDE - x, height, width], axis=1)
    return Window(np.ascontiguousarray(image), boxes)


def batch_of(windows: Sequence[Window]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """images_BHWC and heat_Bhw."""
    return np.stack([w.image_HWC for w in windows]), np.stack([heatmap_of(w.boxes_N4) for w in windows])
