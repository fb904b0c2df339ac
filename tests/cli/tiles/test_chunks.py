from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_cli.tiles.chunks import Chunk, ChunkGrid, chunk_grid, join_all, needed
from rsmoe_cli.tiles.grid import Grid, Tile
from rsmoe_cli.tiles.image import TileImage


def layout(path: Path, width: int, height: int, count: int = 3, dtype: str = "uint8", **profile: object) -> ChunkGrid:
    """The layout of a file without pixels."""
    shape = {"width": width, "height": height, "count": count, "dtype": dtype}
    with rasterio.open(path, "w", driver="GTiff", sparse_ok=True, **shape, **profile):
        pass
    with rasterio.open(path) as dataset:
        return chunk_grid(dataset, 1)


@pytest.mark.parametrize(
    ("profile", "piece"),
    [
        ({"tiled": True, "blockxsize": 512, "blockysize": 512, "count": 4, "dtype": "uint16"}, (1024, 512)),
        ({"tiled": True, "blockxsize": 256, "blockysize": 256, "count": 4, "dtype": "uint16"}, (1024, 512)),
        ({"tiled": True, "blockxsize": 512, "blockysize": 512, "count": 13, "dtype": "float64"}, (512, 512)),
        ({"blockysize": 16, "count": 4, "dtype": "uint16"}, (40_000, 16)),
        ({"blockysize": 1}, (40_000, 34)),
        ({"blockysize": 400}, (40_000, 104)),  # parts of blocks that are too large
    ],
)
def test_pieces_are_whole_blocks_of_a_few_megabytes(
    tmp_path: Path, profile: dict[str, object], piece: tuple[int, int]
) -> None:
    assert layout(tmp_path / "a.tif", 40_000, 2_000, **profile).piece == piece  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    block=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    times=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    size=st.integers(1, 40),
    overlap=st.integers(0, 20),
    modulo=st.integers(1, 5),
)
def test_tiles_are_joined_from_the_fewest_pieces(
    width: int,
    height: int,
    block: tuple[int, int],
    times: tuple[int, int],
    size: int,
    overlap: int,
    modulo: int,
) -> None:
    grid = Grid(width, height, size, min(overlap, size - 1))
    layout = ChunkGrid(width, height, block, (block[0] * times[0], block[1] * times[1]))
    values = np.random.default_rng(0).integers(1, 256, (height, width, 3)).astype(np.uint8)
    read = []

    def wanted(tile: Tile) -> bool:
        return (tile.row + tile.col) % modulo == 0

    def parts(number: int, box: tuple[int, int, int, int]) -> list[Chunk]:
        read.append(box)
        boxes = layout.split(box) if number % 2 else [box]
        return [Chunk((x, y, w, h), values[y : y + h, x : x + w], np.ones((h, w), bool)) for x, y, w, h in boxes]

    chosen: Callable[[Tile], bool] | None = wanted if modulo > 1 else None
    boxes = map(layout.box, needed(layout, grid, chosen))
    results = list(join_all(layout, grid, chosen, (parts(*one) for one in enumerate(boxes))))
    assert [result.tile for result in results] == [tile for tile in grid if wanted(tile)]
    for result in results:
        assert isinstance(result, TileImage)
        x, y, w, h = result.tile.rect
        assert np.array_equal(result.pixels[:h, :w], values[y : y + h, x : x + w])
        assert result.valid_pixels == result.valid[:h, :w].sum() == result.pixels.any(axis=2).sum() == w * h
    places = [layout.box((row, col)) for row in range(layout.rows) for col in range(layout.cols)]
    assert read == [box for box in places if any(map(wanted, grid.touching(box)))], "each once, and none in vain"
