"""Peaks of heat and what is really there → the heat above which there is a thing, and how sure that is. Free of torch.

Shapes: N peaks, all pictures together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.base import Box

_THRESHOLDS = tuple(np.round(np.arange(0.08, 0.81, 0.02), 2).tolist())
_SLOPES = tuple(np.round(np.geomspace(0.25, 4.0, 25), 3).tolist())
_NEAR = 6.0
"""Pixels that a peak may lie off a thing, where the thing is smaller than that."""


@dataclass(frozen=True)
class Searched:
    """A picture in which things were looked for."""

    peaks: tuple[tuple[float, float, float], ...]
    """x and y in pixels of the picture, and heat, 0-1."""
    boxes: tuple[Box, ...]
    """What is there."""


@dataclass(frozen=True)
class Fit:
    """How heat is to be read."""

    threshold: float
    """Heat of a thing that is as likely there as not."""
    slope: float
    """How fast the odds rise with the odds of the heat, on logarithmic scales."""
    log_count_std: float
    """Root mean square over the pictures of the logarithm of found to there, each plus one."""
    error: float
    """Mean over the pictures of the counts' error, relative to the number of things (at least 1)."""


def relative_error(searched: Sequence[Searched], threshold: float) -> float:
    """Mean over the pictures of |found - there| / max(there, 1)."""
    errors = [abs(_found(s, threshold) - len(s.boxes)) / max(len(s.boxes), 1) for s in searched]
    return float(np.mean(errors))


def _spread(searched: Sequence[Searched], threshold: float) -> float:
    ratios = [np.log((_found(s, threshold) + 1) / (len(s.boxes) + 1)) for s in searched]
    return float(np.sqrt(np.mean(np.square(ratios))))


def _found(searched: Searched, threshold: float) -> int:
    return sum(heat >= threshold for _, _, heat in searched.peaks)


def fit_heat(searched: Sequence[Searched]) -> Fit:
    """The threshold of least relative error, and the slope under which hits and misses are likeliest."""
    errors = {threshold: relative_error(searched, threshold) for threshold in _THRESHOLDS}
    least = min(errors.values())
    best = [threshold for threshold, error in errors.items() if error <= least + 1e-9]
    threshold = best[len(best) // 2]
    heat_N, hit_N = _hits(searched)
    odds_N = _log_odds(heat_N) - _log_odds(np.array(threshold))
    likelihood = [float(-np.logaddexp(0, np.where(hit_N, -1, 1) * slope * odds_N).sum()) for slope in _SLOPES]
    slope = _SLOPES[int(np.argmax(likelihood))]
    return Fit(threshold, slope, _spread(searched, threshold), errors[threshold])


def _hits(searched: Sequence[Searched]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Heat of every peak, and whether it is the hottest one on a thing."""
    heats, hits = [], []
    for own in searched:
        free = list(own.boxes)
        for x, y, heat in sorted(own.peaks, key=lambda peak: -peak[2]):
            on = [box for box in free if _lies_on(x, y, box)]
            if on:
                free.remove(min(on, key=lambda box: (box[0] - x) ** 2 + (box[1] - y) ** 2))
            heats.append(heat)
            hits.append(bool(on))
    return np.array(heats, np.float64), np.array(hits, bool)


def _lies_on(x: float, y: float, box: Box) -> bool:
    centre_x, centre_y, width, height = box
    return abs(x - centre_x) <= max(width / 2, _NEAR) and abs(y - centre_y) <= max(height / 2, _NEAR)


def _log_odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.clip(share, 1e-6, 1 - 1e-6)
    return np.log(share / (1 - share))
