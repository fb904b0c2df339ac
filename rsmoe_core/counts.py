"""How many, when each thing found is one with some probability: the distribution of the number. Free of torch.

Shapes: N things that may be counted; a distribution has N + 1 probabilities, of 0 to N things.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Distribution = NDArray[np.float64]
"""Probabilities of 0, 1, 2, ... things."""


def distribution(confidences: Sequence[float]) -> Distribution:
    """Of the number of things that are really there, when they are there independently of each other."""
    known = np.ones(1)
    for share in confidences:
        known = np.convolve(known, (1 - share, share))
    return known


def counted(confidences: Sequence[float]) -> int:
    """The number to tell: things that are more likely there than not."""
    return sum(share >= 0.5 for share in confidences)


def interval(of: Distribution, share: float = 0.9) -> tuple[int, int]:
    """The numbers between which the count lies with this probability; as much is left out below as above."""
    reached = of.cumsum()
    low, high = (int(np.searchsorted(reached, tail)) for tail in ((1 - share) / 2, (1 + share) / 2))
    return low, min(high, len(of) - 1)


def more(of: Distribution, than: Distribution) -> float:
    """Probability that the first number is larger than the second."""
    at_most = than.cumsum()
    below = np.concatenate([[0.0], at_most])  # probability that the second is below 0, 1, 2, ...
    return float(sum(p * below[min(n, len(at_most))] for n, p in enumerate(of)))


def equal(of: Distribution, to: Distribution) -> float:
    """Probability that both numbers are the same."""
    shared = min(len(of), len(to))
    return float(of[:shared] @ to[:shared])
