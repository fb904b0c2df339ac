"""How sure a number is. Pure arithmetic on distributions over 0, 1, 2, ...: entry k is the probability of k."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Chances = NDArray[np.float64]
"""Probability of each whole number; they sum to 1."""


def of_candidates(probabilities: Iterable[float]) -> Chances:
    """How many of some candidates are real, if each is with its own probability and none depends on another.

    The distribution is exact (Poisson-binomial).
    """
    chances = np.ones(1)
    for probability in probabilities:
        chances = np.convolve(chances, (1 - probability, probability))
    return chances


def of_told(number: float) -> Chances:
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


def interval(chances: Chances, share: float) -> tuple[int, int]:
    """The numbers between which the middle `share` of a distribution lies."""
    below = np.cumsum(chances)
    low, high = np.searchsorted(below, ((1 - share) / 2, (1 + share) / 2))
    return int(low), min(int(high), len(chances) - 1)


def between(chances: Chances, low: float, high: float) -> float:
    """Probability of a number from `low` to `high`."""
    return min(1.0, float(chances[max(0, math.ceil(low)) : math.floor(high) + 1].sum()))


def more(first: Chances, second: Chances) -> float:
    """Probability that the first number is greater than the second."""
    below = np.concatenate([[0.0], np.cumsum(second)])[: len(first)]
    below = np.pad(below, (0, len(first) - len(below)), mode="edge")
    return min(1.0, float(first @ below))


def equal(first: Chances, second: Chances) -> float:
    """Probability that two numbers are the same."""
    length = min(len(first), len(second))
    return min(1.0, float(first[:length] @ second[:length]))
