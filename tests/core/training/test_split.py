from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsmoe_core.data.base import Sample
from rsmoe_core.errors import TrainingError
from rsmoe_core.training.split import split_description, validation_split


def test_a_group_is_held_out_whole_and_always_the_same() -> None:
    samples = [Sample(Path(f"{n}.jpg"), "train", ("x",), group=f"s{n // 4}") for n in range(400)]
    held_out = validation_split(samples, 0.3)
    assert np.array_equal(held_out, validation_split(samples, 0.3))
    assert all(len(set(held_out[n : n + 4])) == 1 for n in range(0, 400, 4))
    assert 0.15 < held_out.mean() < 0.45
    assert np.array_equal(validation_split(samples[200:], 0.3), held_out[200:]), "by name, not by position"


def test_images_of_one_group_are_held_out_one_by_one() -> None:
    samples = [Sample(Path(f"{n}.png"), "train", ("x",), group="all") for n in range(30)]
    held_out = validation_split(samples, 0.15)
    assert 2 <= held_out.sum() <= 10
    assert "one by one" in split_description(samples, held_out)


@pytest.mark.parametrize("count", [3, 8, 30])
def test_a_few_groups_are_held_out_whole(count: int) -> None:
    samples = [Sample(Path(f"{n}.png"), "train", ("x",), group=f"s{n // 2}") for n in range(2 * count)]
    held_out = validation_split(samples, 0.01)
    assert held_out.sum() == 2
    assert split_description(samples, held_out) == "by group"


def test_two_images_are_too_few() -> None:
    with pytest.raises(TrainingError, match="too few images"):
        validation_split([Sample(Path(f"{n}.png"), "train", ("x",)) for n in range(2)], 0.15)
