from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.metrics.intervals import interval_95


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
