"""What a confidence is worth: whether it is the share of right answers, and whether it puts the better first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BINS = 10


def expected_calibration_error(confidence: Sequence[float], right: Sequence[bool]) -> float:
    """ECE (Guo et al. 2017, arXiv 1706.04599): how far confidence is from accuracy, 0-1, over ten bins of equal width.

    A bin holds its upper limit, and the first one zero too; bins weigh as much as they hold answers.
    """
    said, true = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    member = np.clip(np.ceil(said * _BINS).astype(int) - 1, 0, _BINS - 1)
    gaps = np.bincount(member, weights=true - said, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(said))


def spearman(first: Sequence[float] | NDArray, second: Sequence[float] | NDArray) -> float | None:
    """Rank correlation, -1 to 1; equal values share the mean of their ranks. None where one side is constant."""
    one, other = (_ranks(np.asarray(values, dtype=float)) for values in (first, second))
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]
