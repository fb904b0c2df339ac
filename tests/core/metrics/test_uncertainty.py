from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.metrics.uncertainty import expected_calibration_error, interval_95, spearman


@given(values=st.lists(st.floats(-100, 100), min_size=1, max_size=30))
@settings(max_examples=20, deadline=None)
def test_it_lies_within_the_values_and_is_deterministic(values: list[float]) -> None:
    low, high = interval_95(values)
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert (low, high) == interval_95(values)


def test_its_width_follows_theory() -> None:
    values = np.random.default_rng(1).normal(size=400)
    low, high = interval_95(values)
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.1)


def test_equal_values_of_a_group_count_once() -> None:
    right = np.tile([0, 1, 1, 0], 10)
    images = [f"{number}" for number in range(40)]
    alone = interval_95(right, images)
    assert alone == pytest.approx(interval_95(right))
    together = interval_95(np.repeat(right, 25), np.repeat(images, 25).tolist())
    assert together == pytest.approx(alone, abs=0.06)
    as_if_independent = interval_95(np.repeat(right, 25))
    assert together[1] - together[0] > 3 * (as_if_independent[1] - as_if_independent[0])


confidences = st.floats(0, 1)


def test_ece_by_hand() -> None:
    # One of the two in (0.6, 0.7] is right, and both in (0.9, 1].
    assert expected_calibration_error([0.7, 0.7, 1.0, 0.95], [True, False, True, True]) == pytest.approx(
        2 / 4 * abs(0.5 - 0.7) + 2 / 4 * abs(1 - 0.975)
    )


def test_the_upper_limit_belongs_to_a_bin_and_zero_to_the_first() -> None:
    # 0.5 and 0.45 share the bin (0.4, 0.5], and their errors cancel out: one right, one wrong.
    assert expected_calibration_error([0.5, 0.45], [True, False]) == pytest.approx(0.025)
    assert expected_calibration_error([0.0, 0.1], [False, False]) == pytest.approx(0.05)


@given(rows=st.lists(st.tuples(confidences, st.booleans()), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_ece_is_a_share_and_at_least_the_gap_of_the_means(rows: list[tuple[float, bool]]) -> None:
    stated, right = zip(*rows, strict=True)
    error = expected_calibration_error(stated, right)
    assert 0 <= error <= 1
    assert error >= abs(sum(stated) - sum(right)) / len(rows) - 1e-9


@given(values=st.lists(st.integers(-9, 9), min_size=2, max_size=20).filter(lambda values: len(set(values)) > 1))
@settings(max_examples=50, deadline=None)
def test_spearman_depends_on_order_only(values: list[int]) -> None:
    assert spearman(values, [value**3 for value in values]) == pytest.approx(1)
    assert spearman(values, [-value for value in values]) == pytest.approx(-1)


def test_spearman_by_hand() -> None:
    # Ranks 1 2 3 4 5 and 2 1 4 3 5: 1 - 6 (1 + 1 + 1 + 1) / (5 (25 - 1))
    assert spearman([1, 2, 3, 4, 5], [20, 10, 40, 30, 50]) == pytest.approx(0.8)
    # Ties share the mean of their ranks: 1.5 1.5 3 and 1 2 3
    assert spearman([1, 1, 2], [1, 2, 3]) == pytest.approx(0.8660254)
    assert spearman([1, 1, 1], [1, 2, 3]) is None
