"""Confidence intervals of means by the bootstrap."""

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
