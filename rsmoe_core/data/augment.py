"""Augmentation: random views of an image for which its captions stay true.

Rotation, mirroring, moderate zoom, a coarser resolution, haze, colour and grey do not change what is in an image.
Rotation and mirroring are left out if a caption says left, right, top or bottom.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DIRECTIONS = re.compile(r"\b(left|right|top|bottom|upper|lower|(north|south|east|west|vertical|horizontal)\w*)\b")
_GREY_SHARE = 0.1
# Weights of red, green and blue in perceived brightness (ITU-R BT.601).
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
_SMALLEST_CROP = 0.75
_COARSE_SHARE = 0.3
_COARSEST = 0.28
"""Side of the coarsest image, as a share of the original side."""


@dataclass(frozen=True)
class ColourJitter:
    """How far colours may change."""

    contrast: tuple[float, float]
    """Smallest and largest factor."""
    brightness: float
    """Largest value added or subtracted, as a share of the whole range."""
    haze: float
    """Largest share of white, 0-1."""


SLIGHT = ColourJitter((0.75, 1.3), 0.08, 0.15)
"""Small objects stay visible; for detection."""
STRONG = ColourJitter((0.5, 1.3), 0.12, 0.2)
"""The scene class stays recognisable; for captioning."""


def is_directional(captions: Iterable[str]) -> bool:
    """Whether a caption names a direction, which would be wrong in a rotated image."""
    return any(_DIRECTIONS.search(caption) for caption in captions)


def another_view(image_HWC: NDArray[np.uint8], rng: np.random.Generator, may_turn: bool) -> NDArray[np.uint8]:
    """A random view of the image, of the same size; the same generator state gives the same view."""
    view = _zoomed(image_HWC, rng)
    if rng.random() < _COARSE_SHARE:
        view = _coarsened(view, rng)
    if may_turn:
        view = np.rot90(view, k=int(rng.integers(4)))
        if rng.random() < 0.5:
            view = view[:, ::-1]
    return np.ascontiguousarray(recoloured(view, rng, STRONG))


def _zoomed(image_HWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = image_HWC.shape[:2]
    share = rng.uniform(_SMALLEST_CROP, 1.0)
    h, w = max(1, round(height * share)), max(1, round(width * share))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    crop = Image.fromarray(image_HWC[top : top + h, left : left + w])
    return np.asarray(crop.resize((width, height), Image.Resampling.BICUBIC))


def _coarsened(image_HWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image as a sensor with larger pixels would take it."""
    height, width = image_HWC.shape[:2]
    share = rng.uniform(_COARSEST, 0.9)
    small = Image.fromarray(image_HWC).resize(
        (max(1, round(width * share)), max(1, round(height * share))), Image.Resampling.BOX
    )
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def recoloured(image_HWC: NDArray[np.uint8], rng: np.random.Generator, jitter: ColourJitter) -> NDArray[np.uint8]:
    """Random contrast, brightness, colour cast and haze, as between sensors, seasons and stretches; sometimes grey."""
    values = image_HWC.astype(np.float32) / 255
    if rng.random() < _GREY_SHARE:
        values = np.repeat((values @ _LUMINANCE)[..., None], 3, axis=2)
    centre = values.mean()
    contrast, brightness = rng.uniform(*jitter.contrast), rng.uniform(-jitter.brightness, jitter.brightness)
    values = (values - centre) * contrast + centre + brightness
    values = values * rng.uniform(0.92, 1.08, size=3).astype(np.float32)
    haze = rng.uniform(0, jitter.haze)
    return (np.clip(values * (1 - haze) + 0.75 * haze, 0, 1) * 255).round().astype(np.uint8)


def stretched(image_HWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image stretched by its own percentiles, as a scene that shows nothing but sea would be."""
    low, high = np.percentile(image_HWC, (rng.uniform(0, 3), rng.uniform(97, 100)))
    values = (image_HWC.astype(np.float32) - low) / max(float(high - low), 1.0)
    return (np.clip(values, 0, 1) * 255).round().astype(np.uint8)
