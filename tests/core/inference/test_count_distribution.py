from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.inference import count_distribution


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=8))
def test_poisson_binomial_sums_over_all_combinations(probabilities: list[float]) -> None:
    expected = np.zeros(len(probabilities) + 1)
    for outcome in np.ndindex(*[2] * len(probabilities)):
        expected[sum(outcome)] += math.prod(
            p if real else 1 - p for p, real in zip(probabilities, outcome, strict=True)
        )
    distribution = count_distribution.poisson_binomial(probabilities)
    assert distribution == pytest.approx(expected)
    low, high = count_distribution.central_interval(distribution, 0.9)
    assert count_distribution.probability_between(distribution, low, high) >= 0.9 - 1e-9


def test_a_scale_error_widens_the_interval_and_keeps_the_middle() -> None:
    sure = count_distribution.poisson_binomial([0.99] * 30)
    wide = count_distribution.with_scale_error(sure, 0.5)
    assert wide.sum() == pytest.approx(1)
    (low, high), (least, most) = (
        count_distribution.central_interval(sure, 0.9),
        count_distribution.central_interval(wide, 0.9),
    )
    assert least < low <= high < most
    assert least == pytest.approx(30 * math.exp(-1.645 * 0.5), abs=2)
    assert most == pytest.approx(30 * math.exp(1.645 * 0.5), abs=5)
    assert count_distribution.probability_between(wide, 0, 30) == pytest.approx(0.5, abs=0.05)
    assert count_distribution.with_scale_error(np.ones(1), 0.5).tolist() == [1]


def test_estimates_without_locations_are_wide() -> None:
    distribution = count_distribution.negative_binomial(10)
    k = np.arange(len(distribution))
    mean = (distribution * k).sum()
    assert mean == pytest.approx(10, abs=1e-3)
    assert (distribution * (k - mean) ** 2).sum() == pytest.approx(10 + 25, rel=1e-3)
    assert count_distribution.central_interval(distribution, 0.9) == (2, 21)
    assert count_distribution.negative_binomial(0).tolist() == [1]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=6), st.lists(st.floats(0, 1), max_size=6))
def test_greater_less_and_equal_sum_to_one(first: list[float], second: list[float]) -> None:
    a, b = count_distribution.poisson_binomial(first), count_distribution.poisson_binomial(second)
    assert count_distribution.probability_greater(a, b) + count_distribution.probability_greater(
        b, a
    ) + count_distribution.probability_equal(a, b) == pytest.approx(1)
