"""Fill that no file declares: constant collars, and constants such as -9999 that lie far from all other values.

    sample of the raster ──find_collar, find_far, find_constant──▶ Fill | None

Dark water, snow, clipped highlights and night scenes are constant in parts too. Around those, values change gradually;
a collar ends abruptly, begins at a corner of the raster, and has nothing in it.
Arrays are CxHxW (bands, rows, columns) or HxW.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsmoe_cli.raster.nodata.lossy_collars import has_lossy_edge, window_mean
from rsmoe_core.errors import UsageError
from rsmoe_core.fill import MIN_VALUES, far_value, is_value

_MIN_SHARE = 0.02
"""Least share of a collar that holds several corners of the raster."""
_MIN_SHARE_ONE_CORNER = 0.08
"""Least share of a collar that holds one corner: a white roof may hold one too."""
_SUSPICIOUS_SHARE = 0.2
"""Share of the raster from which one value is reported, although it may be real."""
_WINDOW = 9
"""Side of the window around a pixel in which the fill is counted."""
_SPECK = 0.8
"""Share of fill in the window from which a pixel is a speck in the fill."""
_MAX_SPECKS = 2e-4
"""Most specks in a collar, as a share of its pixels: ships and lamps are specks in water and night."""
_NEAR = 0.03
"""Distance to the fill, as a share of the range of values, within which values belong to a gradual change."""
_MAX_NEAR = 0.35
"""Most pixels beside a collar whose values are near it, as a share."""
_LOW_PERCENT, _MAX_LOW = 20, 0.5
"""Percentile of the values of a raster below which few pixels lie beside a hole, and how many at most, as a share."""


@dataclass(frozen=True)
class Fill:
    """A constant that is left out, or that may have to be."""

    values: tuple[float, ...]
    """The value of each band."""
    share: float
    """Share of the raster, 0-1."""
    is_far: bool
    """Whether it lies far from all other values, so that it is no data in any single band."""
    is_certain: bool = True
    """False where it may be real: it is reported and not left out."""
    is_inside: bool = False
    """Whether it is looked for within the raster too, not from the border inwards only."""
    is_lossy: bool = False
    """Whether the edge of the collar is noisy, as compression with losses leaves it."""

    def __str__(self) -> str:
        return f"{self.values[0]:g}" if len(set(self.values)) == 1 else ", ".join(f"{v:g}" for v in self.values)

    @property
    def note(self) -> str:
        """What the user should know about it, and do."""
        share, value = f"{self.share:.0%} of the scene", f"the value {self}"
        if not self.is_certain:
            remedy = f"give --nodata {self}" if len(set(self.values)) == 1 else "declare it in the file, as a mask"
            return f"{share} from the border inwards has {value}, which may be real; if it is no data, {remedy}"
        where = "which lies far from all others" if self.is_far else "from the border inwards"
        where = "in large parts with sharp edges" if self.is_inside else where
        where += ", with the noise of a lossy compression around it" if self.is_lossy else ""
        return f"{share} has {value}, {where}: it is left out as no data; --nodata none keeps it"


def parse_nodata(text: str) -> tuple[float, ...]:
    """`0`, `-9999`, `0,255` or `none` → values that are no data besides those that the file declares.

    Raises:
        UsageError: the text is none of these.
    """
    if text.strip().lower() == "none":
        return ()
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"nodata '{text}' is not understood; write a value such as 0 or -9999, or none") from None


def find_far(values: NDArray[Any], valid: NDArray[np.bool_]) -> list[Fill]:
    """Values that lie far from all others in CxHxW sample values with HxW valid pixels, farthest first."""
    found: list[Fill] = []
    for band in values:
        rest = band[valid & np.isfinite(band)].astype(np.float64)
        for fill in found:
            rest = rest[~is_value(rest, fill.values[0])]
        while (value := far_value(rest, valid.size)) is not None:
            share = float(is_value(rest, value).sum() / valid.size)
            found.append(Fill((value,) * len(values), share, is_far=True))
            rest = rest[~is_value(rest, value)]
    return found


def find_constant(values: NDArray[Any], valid: NDArray[np.bool_]) -> Fill | None:
    """The value of a raster whose valid pixels are all alike, if it is zero or a limit of the type: never written."""
    if valid.sum() <= MIN_VALUES or not np.issubdtype(values.dtype, np.number):
        return None
    limits = (np.iinfo if np.issubdtype(values.dtype, np.integer) else np.finfo)(values.dtype)
    observed = values[:, valid]
    first = observed[0, 0]
    if first not in (0, limits.min, limits.max) or (observed != first).any():
        return None
    return Fill((first.item(),) * len(values), float(valid.mean()), is_far=False)


def is_constant_corner(corner: NDArray[Any]) -> bool:
    """Whether the CxHxW values of a corner are the same in all pixels: without that, there is no collar."""
    return bool((corner == corner[:, :1, :1]).all())


def find_collar(values: NDArray[Any], valid: NDArray[np.bool_], scale: float = 1.0) -> Fill | None:
    """The constant that covers CxHxW sample values from corners of the raster inwards; HxW valid pixels.

    `scale` is the number of pixels of the sample for each pixel of the raster, along a side.
    """
    corners = [(row, col) for row in (0, -1) for col in (0, -1) if valid[row, col]]
    colours = {tuple(values[:, row, col].tolist()) for row, col in corners}
    if len(corners) < 4:
        colours |= _border_colour(values, valid)
    fills = [_collar(values, valid, colour, corners, scale) for colour in sorted(colours)]
    return max(filter(None, fills), key=lambda fill: (fill.is_certain, fill.share), default=None)


def find_hole(values: NDArray[Any], valid: NDArray[np.bool_]) -> Fill | None:
    """Zero in all bands of large parts of CxHxW sample values, wherever they are; HxW valid pixels.

    Bytes may be zero in dark water. Other types have room for what is dark, so that zero is what was not written.
    """
    zero = (values == 0).all(axis=0) & valid
    solid = window_mean(window_mean(zero, _WINDOW) == 1, _WINDOW) > 0
    rest = values[:, valid & ~zero]
    if solid.mean() < _MIN_SHARE or max((len(np.unique(band)) for band in rest), default=0) < MIN_VALUES:
        return None
    colour = np.zeros((len(values), 1, 1), values.dtype)
    if not _is_abrupt(values, valid & ~zero, solid, colour, rest):
        return None
    beside = valid & ~zero & (window_mean(zero & solid, 3) > 0)
    lowest = np.percentile(rest.astype(np.float64), _LOW_PERCENT, axis=1)[:, None]
    if not beside.any() or (values[:, beside] <= lowest).all(axis=0).mean() > _MAX_LOW:
        return None  # values rise from zero, as where dark ones were clipped
    return Fill((0.0,) * len(values), float(zero.mean()), is_far=False, is_inside=True)


def _border_colour(values: NDArray[Any], valid: NDArray[np.bool_]) -> set[tuple[float, ...]]:
    """The most common colour along the border: the fill of a collar beside another fill, which holds the corner."""
    border = np.concatenate([values[:, 0], values[:, -1], values[..., 0], values[..., -1]], axis=1)
    border = border[:, np.concatenate([valid[0], valid[-1], valid[:, 0], valid[:, -1]])]
    if not border.size:
        return set()
    colours, counts = np.unique(border, axis=1, return_counts=True)
    return {tuple(colours[:, counts.argmax()].tolist())}


def _collar(
    values: NDArray[Any],
    valid: NDArray[np.bool_],
    colour: tuple[float, ...],
    corners: list[tuple[int, int]],
    scale: float,
) -> Fill | None:
    of_colour = np.array(colour, values.dtype)[:, None, None]
    same = (values == of_colour).all(axis=0) & valid
    collar = _from_border(same)
    share = float(collar.mean())
    held = sum(bool(collar[corner]) for corner in corners)
    if share < (_MIN_SHARE if held > 1 else _MIN_SHARE_ONE_CORNER):
        return None
    rest = values[:, valid & ~same]
    if max((len(np.unique(band)) for band in rest), default=0) < MIN_VALUES:
        return None
    if has_lossy_edge(values, collar, colour, scale):
        return Fill(colour, share, is_far=False, is_lossy=True)
    if _is_neutral(colour, values.dtype) and _is_abrupt(values, valid & ~same, collar, of_colour, rest):
        return Fill(colour, share, is_far=False)
    return Fill(colour, share, is_far=False, is_certain=False) if share >= _SUSPICIOUS_SHARE else None


def _is_neutral(colour: tuple[float, ...], dtype: np.dtype[Any]) -> bool:
    """Whether a colour is a grey, or of limits of the type only, as magenta: maps have lakes painted in one blue."""
    limits = (np.iinfo if np.issubdtype(dtype, np.integer) else np.finfo)(dtype)
    return len(set(colour)) == 1 or set(colour) <= {0, limits.min, limits.max}


def _is_abrupt(
    values: NDArray[Any],
    others: NDArray[np.bool_],
    collar: NDArray[np.bool_],
    colour: NDArray[Any],
    rest: NDArray[Any],
) -> bool:
    """Whether a collar has no specks in it, and values near it are unlike it."""
    around = window_mean(collar, _WINDOW)
    if (others & (around >= _SPECK)).sum() > _MAX_SPECKS * collar.sum():
        return False
    low, high = np.percentile(rest.astype(np.float64), (1, 99), axis=1)
    distance = np.abs(values.astype(np.float64) - colour) <= _NEAR * (high - low)[:, None, None]
    beside = others & (around > 0)
    return not beside.any() or float(distance.all(axis=0)[beside].mean()) <= _MAX_NEAR


def _from_border(same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of a mask that is connected with the border; narrow, winding paths may be left out."""
    reached = np.zeros_like(same)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        reached[edge] = same[edge]
    before = -1
    while before != (before := int(reached.sum())):
        for whole, part in ((same, reached), (same.T, reached.T)):
            for rows in (range(1, len(whole)), range(len(whole) - 2, -1, -1)):
                step = rows.step
                for row in rows:
                    part[row] |= whole[row] & part[row - step]
    return reached
