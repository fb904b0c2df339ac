from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsmoe_core.data.base import Sample
from rsmoe_core.errors import TrainingError
from rsmoe_core.training.split import manner, validation_split


def test_a_series_is_held_out_whole_and_always_the_same() -> None:
    samples = [Sample(Path(f"{n}.jpg"), "train", ("x",), group=f"s{n // 4}") for n in range(400)]
    chosen = validation_split(samples, 0.3)
    assert np.array_equal(chosen, validation_split(samples, 0.3))
    assert all(len(set(chosen[n : n + 4])) == 1 for n in range(0, 400, 4))
    assert 0.15 < chosen.mean() < 0.45
    assert np.array_equal(validation_split(samples[200:], 0.3), chosen[200:]), "by name, not by place"


def test_pictures_of_one_series_are_held_out_one_by_one() -> None:
    samples = [Sample(Path(f"{n}.png"), "train", ("x",), group="all") for n in range(30)]
    chosen = validation_split(samples, 0.15)
    assert 2 <= chosen.sum() <= 10
    assert "one by one" in manner(samples, chosen)


@pytest.mark.parametrize("count", [3, 8, 30])
def test_a_few_series_are_held_out_whole(count: int) -> None:
    samples = [Sample(Path(f"{n}.png"), "train", ("x",), group=f"s{n // 2}") for n in range(2 * count)]
    chosen = validation_split(samples, 0.01)
    assert chosen.sum() == 2
    assert manner(samples, chosen) == "by series"


def test_two_pictures_are_too_few() -> None:
    with pytest.raises(TrainingError, match="too few pictures"):
        validation_split([Sample(Path(f"{n}.png"), "train", ("x",)) for n in range(2)], 0.15)
