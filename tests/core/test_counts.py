from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.counts import counted, distribution, equal, interval, more

SHARES = st.lists(st.floats(0, 1), max_size=7)


def by_enumeration(shares: list[float]) -> np.ndarray:
    """Every way in which the things may be there or not."""
    known = np.zeros(len(shares) + 1)
    for there in product((False, True), repeat=len(shares)):
        known[sum(there)] += np.prod([p if t else 1 - p for p, t in zip(shares, there, strict=True)])
    return known


@settings(deadline=None)
@given(SHARES)
def test_the_distribution_is_that_of_all_ways(shares):
    assert np.allclose(distribution(shares), by_enumeration(shares))


@settings(deadline=None)
@given(SHARES)
def test_the_interval_holds_most_of_the_distribution(shares):
    known = distribution(shares)
    low, high = interval(known, 0.9)
    assert 0 <= low <= high <= len(shares)
    assert known[low : high + 1].sum() >= 0.9 - 1e-6


@settings(deadline=None)
@given(SHARES, SHARES)
def test_more_less_and_equal_are_all_there_is(first, second):
    one, two = distribution(first), distribution(second)
    assert more(one, two) + more(two, one) + equal(one, two) == pytest.approx(1.0)


def test_certain_numbers_are_compared_as_numbers():
    three, two = distribution([1, 1, 1]), distribution([1, 1])
    assert (more(three, two), more(two, three), equal(three, three)) == (1, 0, 1)
    assert more(distribution([]), distribution([0.2])) == 0
    assert more(distribution([0.2]), distribution([])) == pytest.approx(0.2)


def test_what_is_more_likely_there_than_not_is_counted():
    assert counted([0.9, 0.5, 0.49]) == 2
    assert counted([]) == 0
    assert interval(distribution([])) == (0, 0)
