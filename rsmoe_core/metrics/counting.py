"""Heatmap peaks and true boxes → the threshold and slope that turn heatmap scores into counts and probabilities.

Free of torch. Shapes: N peaks, all images together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.base import Box

_THRESHOLDS = tuple(np.round(np.arange(0.08, 0.81, 0.02), 2).tolist())
_SLOPES = tuple(np.round(np.geomspace(0.25, 4.0, 25), 3).tolist())
_TOLERANCE = 6.0
"""Pixels from the centre of a box within which a peak hits the object, where the box is smaller than that."""


@dataclass(frozen=True)
class ImageDetections:
    """What a detector found in one image, and what is there."""

    peaks: tuple[tuple[float, float, float], ...]
    """x and y in pixels of the image, and heatmap score, 0-1."""
    boxes: tuple[Box, ...]
    """Every object that is there."""


@dataclass(frozen=True)
class Calibration:
    """How heatmap scores of a detector class become counts and probabilities."""

    threshold: float
    """Heatmap score at which a peak is an object with a probability of one half."""
    slope: float
    """Slope of the log-odds of being an object over the log-odds of the heatmap score."""
    log_count_std: float
    """Root mean square over the images of log((found + 1) / (true + 1))."""
    error: float
    """Mean over the images of the counts' error, relative to the number of objects (at least 1)."""


def relative_error(images: Sequence[ImageDetections], threshold: float) -> float:
    """Mean over the images of |found - true| / max(true, 1)."""
    errors = [abs(_count(image, threshold) - len(image.boxes)) / max(len(image.boxes), 1) for image in images]
    return float(np.mean(errors))


def fit_calibration(images: Sequence[ImageDetections]) -> Calibration:
    """The threshold of least relative count error, and the slope that maximises the likelihood of hits and misses."""
    errors = {threshold: relative_error(images, threshold) for threshold in _THRESHOLDS}
    least = min(errors.values())
    best = [threshold for threshold, error in errors.items() if error <= least + 1e-9]
    threshold = best[len(best) // 2]
    score_N, hit_N = _hits(images)
    odds_N = _log_odds(score_N) - _log_odds(np.array(threshold))
    likelihood = [float(-np.logaddexp(0, np.where(hit_N, -1, 1) * slope * odds_N).sum()) for slope in _SLOPES]
    slope = _SLOPES[int(np.argmax(likelihood))]
    return Calibration(threshold, slope, _log_count_std(images, threshold), errors[threshold])


def _log_count_std(images: Sequence[ImageDetections], threshold: float) -> float:
    ratios = [np.log((_count(image, threshold) + 1) / (len(image.boxes) + 1)) for image in images]
    return float(np.sqrt(np.mean(np.square(ratios))))


def _count(image: ImageDetections, threshold: float) -> int:
    return sum(score >= threshold for _, _, score in image.peaks)


def _hits(images: Sequence[ImageDetections]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The score of every peak, and whether it is the highest one on an object."""
    scores, hits = [], []
    for image in images:
        unmatched = list(image.boxes)
        for x, y, score in sorted(image.peaks, key=lambda peak: -peak[2]):
            on = [box for box in unmatched if _lies_on(x, y, box)]
            if on:
                unmatched.remove(min(on, key=lambda box: (box[0] - x) ** 2 + (box[1] - y) ** 2))
            scores.append(score)
            hits.append(bool(on))
    return np.array(scores, np.float64), np.array(hits, bool)


def _lies_on(x: float, y: float, box: Box) -> bool:
    centre_x, centre_y, width, height = box
    return abs(x - centre_x) <= max(width / 2, _TOLERANCE) and abs(y - centre_y) <= max(height / 2, _TOLERANCE)


def _log_odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.clip(share, 1e-6, 1 - 1e-6)
    return np.log(share / (1 - share))
