"""Probability distributions over counts. Entry k of a `CountDistribution` is the probability of the count k."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_NORMAL_QUANTILES = np.array([NormalDist().inv_cdf((part + 0.5) / 40) for part in range(40)])
"""Midpoints of forty equally probable parts of the standard normal distribution."""

CountDistribution = NDArray[np.float64]
"""Probability of each count from 0 on; they sum to 1."""


def poisson_binomial(probabilities: Iterable[float]) -> CountDistribution:
    """How many of some independent candidates are real, where each has its own probability. Exact."""
    distribution = np.ones(1)
    for probability in probabilities:
        distribution = np.convolve(distribution, (1 - probability, probability))
    return distribution


def negative_binomial(mean: float) -> CountDistribution:
    """How many objects there are, by an estimate that came without their locations.

    Such estimates are off by about half: this is a negative binomial distribution with the estimate as its mean, whose
    standard deviation is half of the mean on top of the Poisson noise. For a mean of 10, 90 % of it lies between 2 and
    21.
    """
    if mean <= 0:
        return np.ones(1)
    p = mean / (mean + 4)
    k = np.arange(math.ceil(6 * mean) + 40)
    distribution = (k + 1) * (k + 2) * (k + 3) * p**k
    return distribution / distribution.sum()


def with_scale_error(distribution: CountDistribution, log_std: float) -> CountDistribution:
    """The same with all counts wrong by one unknown factor, which is log-normal with this standard deviation."""
    if log_std <= 0 or len(distribution) == 1:
        return distribution
    factors = np.exp(log_std * _NORMAL_QUANTILES)
    largest = round((len(distribution) - 1) * float(factors[-1]))
    scaled = np.zeros(largest + 1)
    for factor in factors:
        counts = np.round(np.arange(len(distribution)) * factor).astype(int)
        np.add.at(scaled, counts, distribution / len(factors))
    return scaled


def central_interval(distribution: CountDistribution, probability: float) -> tuple[int, int]:
    """The counts between which the middle part of a distribution, with this probability, lies."""
    cumulative = np.cumsum(distribution)
    low, high = np.searchsorted(cumulative, ((1 - probability) / 2, (1 + probability) / 2))
    return int(low), min(int(high), len(distribution) - 1)


def probability_between(distribution: CountDistribution, low: float, high: float) -> float:
    """Probability of a count from `low` to `high`."""
    return min(1.0, float(distribution[max(0, math.ceil(low)) : math.floor(high) + 1].sum()))


def probability_within(distribution: CountDistribution, least: int, greatest: int | None) -> float:
    """Probability of a count from `least` to `greatest`; None stands for no limit."""
    return probability_between(distribution, least, len(distribution) if greatest is None else greatest)


def probability_greater(first: CountDistribution, second: CountDistribution) -> float:
    """Probability that the first count is greater than the second."""
    below = np.concatenate([[0.0], np.cumsum(second)])[: len(first)]
    below = np.pad(below, (0, len(first) - len(below)), mode="edge")
    return min(1.0, float(first @ below))


def probability_equal(first: CountDistribution, second: CountDistribution) -> float:
    """Probability that two counts are the same."""
    length = min(len(first), len(second))
    return min(1.0, float(first[:length] @ second[:length]))
