"""How sure a number is. Pure arithmetic on distributions over 0, 1, 2, ...: entry k is the probability of k."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

# Middles of forty equal parts of the standard normal distribution.
_QUANTILES = np.array([NormalDist().inv_cdf((part + 0.5) / 40) for part in range(40)])

CountDistribution = NDArray[np.float64]
"""Probability of each whole number; they sum to 1."""


def poisson_binomial(probabilities: Iterable[float]) -> CountDistribution:
    """How many of some candidates are real, if each is with its own probability and none depends on another.

    The distribution is exact (Poisson-binomial).
    """
    chances = np.ones(1)
    for probability in probabilities:
        chances = np.convolve(chances, (1 - probability, probability))
    return chances


def unlocated(number: float) -> CountDistribution:
    """How many there are if somebody said `number` without saying where.

    Estimates of that kind miss by about half: this is a negative binomial distribution with that mean, whose standard
    deviation is half of it beside the Poisson noise. 90 % of it lie between 2 and 21 for a mean of 10.
    """
    if number <= 0:
        return np.ones(1)
    share = number / (number + 4)
    k = np.arange(math.ceil(6 * number) + 40)
    chances = (k + 1) * (k + 2) * (k + 3) * share**k
    return chances / chances.sum()


def with_common_error(chances: CountDistribution, spread: float) -> CountDistribution:
    """The same where all counts are off by one unknown factor: log-normal, its logarithm of this standard deviation."""
    if spread <= 0 or len(chances) == 1:
        return chances
    factors = np.exp(spread * _QUANTILES)
    longest = round((len(chances) - 1) * float(factors[-1]))
    spreadout = np.zeros(longest + 1)
    for factor in factors:
        places = np.round(np.arange(len(chances)) * factor).astype(int)
        np.add.at(spreadout, places, chances / len(factors))
    return spreadout


def interval(chances: CountDistribution, share: float) -> tuple[int, int]:
    """The numbers between which the middle `share` of a distribution lies."""
    below = np.cumsum(chances)
    low, high = np.searchsorted(below, ((1 - share) / 2, (1 + share) / 2))
    return int(low), min(int(high), len(chances) - 1)


def between(chances: CountDistribution, low: float, high: float) -> float:
    """Probability of a number from `low` to `high`."""
    return min(1.0, float(chances[max(0, math.ceil(low)) : math.floor(high) + 1].sum()))


def more(first: CountDistribution, second: CountDistribution) -> float:
    """Probability that the first number is greater than the second."""
    below = np.concatenate([[0.0], np.cumsum(second)])[: len(first)]
    below = np.pad(below, (0, len(first) - len(below)), mode="edge")
    return min(1.0, float(first @ below))


def equal(first: CountDistribution, second: CountDistribution) -> float:
    """Probability that two numbers are the same."""
    length = min(len(first), len(second))
    return min(1.0, float(first[:length] @ second[:length]))
