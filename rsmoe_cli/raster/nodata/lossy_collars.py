"""Collars of images that were compressed with losses, such as JPEG: constant inside, noisy along their edge.

    CxHxW sample ──has_lossy_edge──▶ whether there is one        CxHxW pixels ──lossy_collar──▶ which of them are in it

JPEG, WebP and JPEG 2000 smear the edge between a collar and the image over one or two of their blocks. Values there are
near those of the collar, but further inwards they are not: around dark water or snow, which are constant in parts too,
values change gradually over long distances.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_REACH = 16
"""Pixels from the constant part of a collar within which its values are noisy: a block of JPEG with halved colours."""
_NOISE = 24
"""Most by which noise makes 8-bit values differ from the collar."""
_EXTREME = 2
"""Most by which a collar itself differs from black or white."""
_SOLID = 9
"""Side of the square of one value that belongs to the constant part."""
LOSSY_MARGIN = _REACH + _SOLID
"""Pixels around a window that have to be known to tell which of its pixels are in such a collar."""
_BEYOND = 8
"""Width of the strip behind the noise in which values have to be unlike the collar, in pixels."""
_MAX_NEAR = 0.15
"""Most pixels of that strip that are like it, as a share."""
_CLOSED = 12
"""Half the width of gaps in a collar that count as rough."""
_MIN_NOISE, _MAX_ROUGHNESS = 2.0, 1.3
"""Noisy pixels, and pixels in gaps, for each pixel of the edge of a collar."""


def has_lossy_edge(values: NDArray[Any], collar: NDArray[np.bool_], colour: tuple[float, ...], scale: float) -> bool:
    """Whether a collar has a noisy edge, and the image behind it is unlike it.

    Args:
        values: CxHxW sample values of a raster.
        collar: HxW, the part that has exactly the colour and is connected with the border.
        colour: Black or white, of C bands.
        scale: Pixels of the sample for each pixel of the raster, along a side.
    """
    if values.dtype != np.uint8 or not all(min(value, 255 - value) <= _EXTREME for value in colour):
        return False
    reach = max(2, math.ceil(_REACH * scale))
    near = _is_near(values, colour)
    core = collar & _grown(_shrunk(collar, _SOLID // 2), _SOLID // 2)
    zone = _grown(core, reach)
    whole = core | (near & zone)
    edge = int((_grown(whole, 1) & ~whole).sum())
    beyond = _grown(core, reach + _BEYOND) & ~zone
    gaps = _shrunk(_grown(whole, _CLOSED), _CLOSED) & ~whole
    return (
        int((whole & ~core).sum()) >= _MIN_NOISE * min(1.0, scale) * edge
        and int(gaps.sum()) <= _MAX_ROUGHNESS * edge
        and int(near[beyond].sum()) <= _MAX_NEAR * beyond.sum()
    )


def lossy_collar(values: NDArray[Any], colour: tuple[float, ...], scale: float = 1.0) -> NDArray[np.bool_]:
    """HxW, true in squares of exactly the colour, and in the noise around them; values are CxHxW.

    Pixels within `LOSSY_MARGIN` of the border of these values may be missing.
    """
    exact = np.all([band == value for band, value in zip(values, colour, strict=True)], axis=0)
    if not exact.any():
        return exact
    core = _grown(_shrunk(exact, _SOLID // 2), _SOLID // 2)
    return core | (_is_near(values, colour) & _grown(core, math.ceil(_REACH * scale)))


def window_mean(mask: NDArray[np.bool_], side: int) -> NDArray[np.float64]:
    """Share of true pixels in the window around each pixel, of an odd side; the mask is continued at its border."""
    sums = np.pad(mask.astype(np.int32), side // 2, mode="edge")
    for axis in (0, 1):
        totals = np.insert(np.cumsum(sums, axis=axis), 0, 0, axis=axis)
        ends = np.arange(side, totals.shape[axis])
        sums = np.take(totals, ends, axis=axis) - np.take(totals, ends - side, axis=axis)
    return sums / side**2


def _is_near(values: NDArray[Any], colour: tuple[float, ...]) -> NDArray[np.bool_]:
    near = [np.abs(band - np.int16(value)) <= _NOISE for band, value in zip(values, colour, strict=True)]
    return np.asarray(np.all(near, axis=0))


def _grown(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    return window_mean(mask, 2 * by + 1) > 0


def _shrunk(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    return ~_grown(~mask, by)
