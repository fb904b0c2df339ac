"""Constants such as -9999 that stand for no data although no file says so: they lie far from all other values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_VALUES = 16
"""Least number of other values in a band; images with fewer are masks or maps of classes."""
_FAR = 10.0
"""Distance from all other values, in ranges of these, from which a value is far."""
_KNOWN = (-9999.0, -99999.0, -999.0, -32768.0, -32767.0, -(2.0**31))
"""Values that programs write for no data, and that are far at a distance of less."""
_FAR_KNOWN = 0.5
_FAR_SHARE = 1e-3
"""Least share of the image that has the far value."""
_MAX_BETWEEN = 0.05
"""Most pixels between the far value and the others, as a share of those that have it: averages in overviews."""
_HUGE = 1e30
"""Values beyond this are compared roughly, since few people know the lowest 32-bit number by heart."""


def is_value(values: NDArray[Any], value: float) -> NDArray[np.bool_]:
    """Where an array has a value; real numbers are compared as precisely as people write them."""
    if not math.isfinite(value):
        return np.isnan(values) if math.isnan(value) else values == value
    if not np.issubdtype(values.dtype, np.floating):
        return values == value
    tolerance = abs(value) * (1e-2 if abs(value) > _HUGE else 1e-6)
    return np.abs(values.astype(np.float64) - value) <= tolerance


def far_values(values: NDArray[Any]) -> list[float]:
    """The finite values of an array of any shape that lie far from all others, farthest first."""
    rest = values[np.isfinite(values)].astype(np.float64)
    found: list[float] = []
    while (value := far_value(rest, values.size)) is not None:
        found.append(value)
        rest = rest[~is_value(rest, value)]
    return found


def far_value(values: NDArray[np.float64], pixels: int) -> float | None:
    """The lowest or the highest of the values of an image of so many pixels, if it is frequent and far from others."""
    if not values.size:
        return None
    for value in (float(values.min()), float(values.max())):
        same = values == value
        count, others = int(same.sum()), values[~same]
        if count < max(2, _FAR_SHARE * pixels) or len(others) < MIN_VALUES:
            continue
        low, high = np.percentile(others, (2, 98))
        if len(np.unique(others)) < MIN_VALUES or not low < high:
            continue
        edge = low if value < low else high
        between = np.abs(others - value) < abs(edge - value) / 2
        distance = _FAR_KNOWN if value in _KNOWN else _FAR
        if abs(edge - value) > distance * (high - low) and between.sum() <= _MAX_BETWEEN * count:
            return value
    return None
