"""Confidence intervals of means by the bootstrap, and how good a model's confidences are: whether they equal the share
of right answers, and whether they rank predictions well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 1000


def interval_95(values: Sequence[float] | NDArray, groups: Sequence[str] | None = None) -> tuple[float, float]:
    """95 % bootstrap interval of the mean: 1,000 resamples of the values, seed 0.

    With `groups`, whole groups are resampled, because values of one group (the questions about one image) are not
    independent; without, each value is a group of its own.
    """
    sums, sizes = np.asarray(values, dtype=float), np.ones(len(values))
    if groups is not None:
        _, group = np.unique(np.asarray(groups), return_inverse=True)
        sums, sizes = np.bincount(group, weights=sums), np.bincount(group).astype(float)
    rng = np.random.default_rng(0)
    means = []
    for _ in range(_RESAMPLES):
        drawn = rng.integers(len(sums), size=len(sums))
        means.append(sums[drawn].sum() / sizes[drawn].sum())
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


_BINS = 10


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[bool]) -> float:
    """ECE (Guo et al. 2017, arXiv 1706.04599): how far confidence is from accuracy, 0-1, over ten bins of equal width.

    A bin includes its upper limit, and the first one includes zero too; bins are weighted by their number of answers.
    """
    confidence_N, correct_N = np.asarray(confidences, dtype=float), np.asarray(correct, dtype=float)
    bin_N = np.clip(np.ceil(confidence_N * _BINS).astype(int) - 1, 0, _BINS - 1)
    gaps = np.bincount(bin_N, weights=correct_N - confidence_N, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(confidence_N))


def spearman(first: Sequence[float] | NDArray, second: Sequence[float] | NDArray) -> float | None:
    """Rank correlation, -1 to 1; equal values share the mean of their ranks. None where one side is constant."""
    first_ranks, second_ranks = (_ranks(np.asarray(values, dtype=float)) for values in (first, second))
    if np.ptp(first_ranks) == 0 or np.ptp(second_ranks) == 0:
        return None
    return float(np.corrcoef(first_ranks, second_ranks)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[index]
