"""Pixel values → 0-255, once for a whole scene, so that equal ground looks equal in every tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.errors import UsageError

_DEFAULT_PERCENT = (2.0, 98.0)


@dataclass(frozen=True)
class Stretch:
    """A straight line per band that takes `low` to 0 and `high` to 255."""

    low: tuple[float, ...]
    """Value drawn black, one per chosen band; empty where values are drawn as they are."""
    high: tuple[float, ...]
    """Value drawn at full brightness, one per chosen band."""
    percent: tuple[float, float] | None = None
    """Percentiles of the valid pixels that `low` and `high` are."""

    def apply(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """CxHxW values of any real type → CxHxW 0-255; values beyond the ends are clipped, NaN becomes 0."""
        if not self.low:
            return values if values.dtype == np.uint8 else _to_bytes(values)
        real = values.astype(np.result_type(values.dtype, np.float32))
        low, high = (np.array(ends, real.dtype)[:, None, None] for ends in (self.low, self.high))
        real -= low
        real *= 255 / (high - low)
        return _to_bytes(real)

    def __str__(self) -> str:
        if self.percent is None:
            return "none"
        ends = ", ".join(f"{low:g} to {high:g}" for low, high in zip(self.low, self.high, strict=True))
        return f"{self.percent[0]:g}-{self.percent[1]:g} % of valid pixels: {ends}"


AS_STORED = Stretch((), ())
"""Values are drawn as they are."""


def parse_stretch(text: str, shown_as_stored: bool) -> tuple[float, float] | None:
    """`auto`, `none` or `LOW,HIGH` → the percentiles to stretch between, or None for no stretch.

    `shown_as_stored` says whether the bands are ordinary 8-bit colours, which `auto` leaves alone.

    Raises:
        UsageError: the text is none of these.
    """
    if text == "none" or (text == "auto" and shown_as_stored):
        return None
    if text == "auto":
        return _DEFAULT_PERCENT
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low, high = 0.0, 0.0
    if not 0 <= low < high <= 100:
        raise UsageError(f"stretch '{text}' is not understood; write auto, none or two percentages such as 2,98")
    return low, high


def fit_stretch(values: NDArray[Any], valid: NDArray[np.bool_], percent: tuple[float, float]) -> Stretch:
    """CxN sample values and their N valid flags → the stretch between two percentiles of each band."""
    if not valid.any():
        return Stretch((0.0,) * len(values), (1.0,) * len(values), percent)
    ends = [np.nanpercentile(band[valid].astype(np.float64), percent) for band in values]
    low = tuple(float(end[0]) for end in ends)
    # A band of one single value has no contrast; any width above zero draws it evenly dark.
    high = tuple(float(end[1]) if end[1] > end[0] else float(end[0]) + 1 for end in ends)
    return Stretch(low, high, percent)


def _to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.rint(np.clip(np.nan_to_num(values, nan=0.0), 0, 255)).astype(np.uint8)
