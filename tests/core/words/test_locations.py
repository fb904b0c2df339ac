from __future__ import annotations

import pytest

from rsmoe_core.words.locations import middle_of, where, word, words

CELLS = ("upper left", "top", "upper right", "left", "center", "right", "lower left", "bottom", "lower right")


def test_a_cell_is_a_third_of_the_image() -> None:
    points = [(x, y) for y in (10.0, 50.0, 80.0) for x in (10.0, 50.0, 80.0)]
    assert tuple(word(x, y, 90, 90) for x, y in points) == CELLS
    assert where([(50.0, 50.0)], 90, 90) == "center"
    assert where([(10.0, 80.0)], 90, 90) == "lower left"
    assert where([(90.0, 0.0)], 90, 90) == "upper right"


def test_points_outside_belong_to_the_nearest_cell() -> None:
    assert word(-1, 31, 90, 30) == "lower left"


def test_cells_with_most_points_come_first() -> None:
    points = [(80.0, 80.0), (10.0, 10.0), (12.0, 20.0), (50.0, 50.0), (10.0, 80.0)]
    assert words(points, 90, 90) == ["upper left", "lower right", "center", "lower left"]
    assert where(points, 90, 90) == "upper left, lower right, center"
    assert where([], 90, 90) == ""


@pytest.mark.parametrize(("number", "name"), [*enumerate(CELLS)])
def test_the_middle_of_a_named_cell(number: int, name: str) -> None:
    row, column = divmod(number, 3)
    assert middle_of(f"At the {name} side") == pytest.approx(((column + 0.5) / 3, (row + 0.5) / 3))


def test_other_texts_name_no_cell() -> None:
    assert middle_of("everywhere") is None
