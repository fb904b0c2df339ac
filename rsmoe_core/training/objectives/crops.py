"""Images with boxes → crops for a detector: pixels, and the heatmap that it should give.

    AnnotatedImage ─cut─▶ Crop(image, boxes) ─rotate, mirror, change colours─▶ Crop ─▶ image_HWC, heatmap_hw

Shapes: H = W = SIDE pixels of the resized image, h = w = SIDE / CELL cells, N boxes, B crops.
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
"""Side of a crop, in pixels of the resized image."""
_CACHED_IMAGES = 1024
"""Decoded images that are held in memory."""
_AT_OBJECT_SHARE = 0.6
"""Share of the crops that are laid over an object, in images that contain any."""
_SCALES = (0.75, 1.35)
"""Limits of the random factor on the scale of the detector class."""
_STRETCH_SHARE = 0.3
"""Share of the crops whose contrast is stretched."""
_SIGMA, _MIN_SIGMA, _MAX_SIGMA = 1 / 6, 0.7, 3.0
"""Standard deviation of a peak of the heatmap relative to the size of the object, and its limits in cells."""


@dataclass(frozen=True)
class AnnotatedImage:
    """An image in which every object of one detector class has a box; there may be none."""

    image: Path
    """The image file."""
    detector_class: str
    """A name of `DETECTOR_CLASSES`."""
    boxes: tuple[Box, ...]
    """One for every object."""
    metres_per_pixel: float | None = None
    """Ground sample distance, where it is known."""


@dataclass(frozen=True, eq=False)
class Crop:
    """A square cut from a resized image."""

    image_HWC: NDArray[np.uint8]
    boxes_N4: NDArray[np.float64]
    """Centre x, centre y, width and height in pixels of the crop, of the objects whose centre lies in it."""


def random_crop(annotated: AnnotatedImage, rng: np.random.Generator) -> Crop:
    """A random crop with random augmentations; the same state of the generator gives the same crop."""
    crop = _rotated(_cut(annotated, rng), rng)
    image = stretched(crop.image_HWC, rng) if rng.random() < _STRETCH_SHARE else crop.image_HWC
    return Crop(recoloured(image, rng, SLIGHT), crop.boxes_N4)


def heatmap_of(boxes_N4: NDArray[np.float64]) -> NDArray[np.float32]:
    """heatmap_hw: 1 in the cell of each object's centre, falling off around it."""
    cells = SIDE // CELL
    heatmap = np.zeros((cells, cells), np.float32)
    rows, columns = np.mgrid[:cells, :cells]
    for x, y, width, height in boxes_N4:
        column, row = (min(cells - 1, int(v / CELL)) for v in (x, y))
        sigma = float(np.clip(np.sqrt(width * height) / CELL * _SIGMA, _MIN_SIGMA, _MAX_SIGMA))
        distance = (rows - row) ** 2 + (columns - column) ** 2
        np.maximum(heatmap, np.exp(-distance / (2 * sigma**2)), out=heatmap)
    return heatmap


def stack_crops(crops: Sequence[Crop]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """images_BHWC and heatmap_Bhw."""
    return np.stack([crop.image_HWC for crop in crops]), np.stack([heatmap_of(crop.boxes_N4) for crop in crops])


@lru_cache(maxsize=_CACHED_IMAGES)
def _pixels(path: Path) -> NDArray[np.uint8]:
    return read_image(path)


def _cut(annotated: AnnotatedImage, rng: np.random.Generator) -> Crop:
    image = _pixels(annotated.image)
    boxes_N4 = np.array(annotated.boxes, np.float64).reshape(-1, 4)
    height, width = image.shape[:2]
    enlargement = DETECTOR_CLASSES[annotated.detector_class].enlargement(annotated.metres_per_pixel)
    extent = min(SIDE / (enlargement * rng.uniform(*_SCALES)), height, width)  # side of the crop in the image's pixels
    scale = SIDE / extent
    if len(boxes_N4) and rng.random() < _AT_OBJECT_SHARE:
        centre = boxes_N4[rng.integers(len(boxes_N4)), :2] + rng.uniform(-0.4, 0.4, 2) * extent
        corner = centre - extent / 2
    else:
        corner = rng.uniform(0, 1, 2) * (width - extent, height - extent)
    left, top = np.clip(corner, 0, (width - extent, height - extent))
    window = (left, top, left + extent, top + extent)
    cut = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=window)
    moved_N4 = (boxes_N4 - (left, top, 0, 0)) * scale
    inside = ((moved_N4[:, :2] >= 0) & (moved_N4[:, :2] < SIDE)).all(axis=1)
    return Crop(np.asarray(cut), moved_N4[inside])


def _rotated(crop: Crop, rng: np.random.Generator) -> Crop:
    """Mirrored or not, then rotated by 0 to 3 quarter turns; each of the eight ways is as likely."""
    image, boxes = crop.image_HWC, crop.boxes_N4.copy()
    if rng.random() < 0.5:
        image = image[:, ::-1]
        boxes[:, 0] = SIDE - boxes[:, 0]
    for _ in range(int(rng.integers(4))):
        image = np.rot90(image)  # anticlockwise: the right edge becomes the top one
        x, y, width, height = boxes.T.copy()
        boxes = np.stack([y, SIDE - x, height, width], axis=1)
    return Crop(np.ascontiguousarray(image), boxes)
