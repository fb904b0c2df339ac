from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_cli.tiles.grid import Grid, fitting_tile_size, parse_tile_size
from rsmoe_core.errors import UsageError

SIZES = st.integers(1, 90)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    size = draw(st.integers(1, 40))
    return Grid(draw(SIZES), draw(SIZES), size, draw(st.integers(0, size - 1)))


@settings(deadline=None)
@given(width=SIZES, height=SIZES, size=st.integers(1, 40))
def test_without_overlap_every_pixel_lies_in_exactly_one_tile(width: int, height: int, size: int) -> None:
    seen = np.zeros((height, width), int)
    for tile in Grid(width, height, size):
        seen[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] += 1
    assert (seen == 1).all()


@settings(deadline=None)
@given(grid=grids())
def test_with_overlap_every_pixel_is_covered_and_owned_once(grid: Grid) -> None:
    covered, owned = np.zeros((2, grid.height, grid.width), int)
    for tile in grid:
        assert 0 < tile.width <= tile.size
        assert 0 < tile.height <= tile.size
        covered[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] += 1
        left, top, width, height = tile.owned
        owned[top : top + height, left : left + width] += 1
        own = np.zeros((tile.height, tile.width), int)
        own[tile.owned_slices()] += 1
        assert own.sum() == tile.owned_pixels == width * height > 0, "what a tile owns lies within it"
    assert covered.min() == 1
    assert (owned == 1).all()


@settings(deadline=None)
@given(grid=grids(), length=st.integers(1, 9))
def test_runs_hold_the_same_tiles_in_the_same_order(grid: Grid, length: int) -> None:
    runs = list(grid.runs(length))
    assert [tile for run in runs for tile in run] == list(grid)
    assert len(list(grid)) == len(grid)
    assert all(len({tile.row for tile in run}) == 1 for run in runs)
    assert all(1 <= len(run) <= length for run in runs)
    assert len(runs) == grid.rows * -(-grid.cols // length)


@settings(deadline=None)
@given(grid=grids(), data=st.data())
def test_a_box_knows_the_tiles_that_it_touches(grid: Grid, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, grid.width - 1)), data.draw(st.integers(0, grid.height - 1))
    width, height = data.draw(st.integers(1, grid.width - x)), data.draw(st.integers(1, grid.height - y))
    expected = [
        tile
        for tile in grid
        if tile.x < x + width and x < tile.x + tile.width and tile.y < y + height and y < tile.y + tile.height
    ]
    assert list(grid.overlapping((x, y, width, height))) == expected
    assert [grid.is_last(tile, (x, y, width, height)) for tile in expected] == [False] * (len(expected) - 1) + [True]


def test_neighbours_share_their_overlap_evenly() -> None:
    left, middle, right = Grid(width=90, height=30, size=40, overlap=10)
    assert [left.owned, middle.owned, right.owned] == [(0, 0, 35, 30), (35, 0, 30, 30), (65, 0, 25, 30)]


def test_edge_tiles_are_clipped_not_moved() -> None:
    corner = list(Grid(width=500, height=300, size=224))[-1]
    assert corner.rect == (448, 224, 52, 76)
    assert corner.size == 224
    assert corner.id == "r0001c0002"


@settings(deadline=None)
@given(width=st.integers(1, 5000), height=st.integers(1, 5000), overlap=st.integers(0, 100))
def test_a_fitted_size_leaves_no_narrow_strips(width: int, height: int, overlap: int) -> None:
    size = fitting_tile_size(width, height, preferred=224, overlap=overlap)
    assert 149 <= size <= 336
    grid = Grid(width, height, size, overlap)
    corner = list(grid)[-1]
    beyond_x, beyond_y = ((size - corner.width) / width, (size - corner.height) / height)
    plain = list(Grid(width, height, 224, overlap))[-1]
    worst = min((224 - plain.width) / width, 1) + min((224 - plain.height) / height, 1)
    assert min(beyond_x, 1) + min(beyond_y, 1) <= worst + 1e-9, "never emptier than tiles of the preferred size"


@pytest.mark.parametrize(
    ("width", "height", "size"), [(256, 256, 256), (2016, 2016, 224), (1351, 1130, 226), (224, 224, 224), (1, 1, 224)]
)
def test_fitted_sizes(width: int, height: int, size: int) -> None:
    assert fitting_tile_size(width, height, preferred=224) == size


@pytest.mark.parametrize("overlap", [-1, 32, 100])
def test_impossible_overlap_is_refused(overlap: int) -> None:
    with pytest.raises(UsageError, match="choose --overlap between 0 and 31"):
        Grid(100, 100, 32, overlap)


@pytest.mark.parametrize(
    ("text", "metres_per_pixel", "pixels"),
    [("224", None, 224), ("500m", 0.5, 1000), (" 2240 M", 10.0, 224), ("100.4m", 1.0, 100)],
)
def test_tile_size_in_pixels_or_metres(text: str, metres_per_pixel: float | None, pixels: int) -> None:
    assert parse_tile_size(text, metres_per_pixel) == pixels


@pytest.mark.parametrize(
    ("text", "metres_per_pixel", "message"),
    [
        ("big", 1.0, "is not understood"),
        ("2.5", 1.0, "is not understood"),
        ("500m", None, "needs a scene with a CRS"),
        ("500m", 300.0, "is 2 pixels here; choose at least 16"),
        ("-5", 1.0, "is not possible"),
        ("nanm", 1.0, "is not possible"),
    ],
)
def test_senseless_tile_size_is_refused(text: str, metres_per_pixel: float | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_tile_size(text, metres_per_pixel)
