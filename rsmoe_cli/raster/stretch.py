"""The contrast stretch: pixel values → 0-255, the same for the whole scene, so that its tiles are comparable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.errors import UsageError

_DEFAULT_PERCENT = (2.0, 98.0)
_DARK = 64
"""Brightness below which all values of a grey image lie that is too dark to be described as it is."""


@dataclass(frozen=True)
class Stretch:
    """A linear function per band that maps `low` to 0 and `high` to 255."""

    low: tuple[float, ...]
    """Value that becomes 0, one per selected band; empty to leave values as they are."""
    high: tuple[float, ...]
    """Value that becomes 255, one per selected band."""
    percent: tuple[float, float] | None = None
    """The percentiles of the valid pixels that `low` and `high` are."""

    def apply(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """CxHxW values of any real type → CxHxW 0-255; values outside the range are clipped, NaN becomes 0."""
        if not self.low:
            return values if values.dtype == np.uint8 else _to_bytes(values)
        real = values.astype(np.result_type(values.dtype, np.float32))
        low, high = (np.array(limits, real.dtype)[:, None, None] for limits in (self.low, self.high))
        with np.errstate(over="ignore"):  # fill is as low as a number can be
            real -= low
            real *= 255 / (high - low)
        return _to_bytes(real)

    def __str__(self) -> str:
        if self.percent is None:
            return "none"
        ranges = ", ".join(f"{low:g} to {high:g}" for low, high in zip(self.low, self.high, strict=True))
        return f"{self.percent[0]:g}-{self.percent[1]:g} % of valid pixels: {ranges}"


NO_STRETCH = Stretch((), ())
"""Leaves values as they are."""


def parse_stretch(text: str, is_display_ready: bool) -> tuple[float, float] | None:
    """`auto`, `none` or `LOW,HIGH` → the percentiles to stretch between, or None for no stretch.

    `auto` leaves bands alone that are ready for display: ordinary 8-bit colours.

    Raises:
        UsageError: the text is none of these.
    """
    if text == "none" or (text == "auto" and is_display_ready):
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


def is_dark(values: NDArray[Any], valid: NDArray[np.bool_]) -> bool:
    """Whether an 8-bit grey image uses only the lowest levels: CxN sample values and their N valid flags."""
    return bool(valid.any()) and int(values[:, valid].max()) < _DARK


def fit_stretch(values: NDArray[Any], valid: NDArray[np.bool_], percent: tuple[float, float]) -> Stretch:
    """CxN sample values and their N valid flags → the stretch between two percentiles of each band."""
    if not valid.any():
        return Stretch((0.0,) * len(values), (1.0,) * len(values), percent)
    limits = [np.nanpercentile(band[valid].astype(np.float64), percent) for band in values]
    low = tuple(float(first) for first, _ in limits)
    # A constant band has no contrast; any range above zero makes it evenly dark.
    high = tuple(float(last) if last > first else float(first) + 1 for first, last in limits)
    return Stretch(low, high, percent)


def _to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.rint(np.clip(np.nan_to_num(values, nan=0.0), 0, 255)).astype(np.uint8)
