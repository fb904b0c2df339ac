from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_cli.raster.scene import open_scene
from rsmoe_cli.tiles.chunks import Chunk, ChunkGrid, assemble_tiles, chunk_grid, needed_chunks
from rsmoe_cli.tiles.grid import Grid, Rect, Tile
from rsmoe_cli.tiles.image import TileImage


@pytest.mark.parametrize(
    ("profile", "chunk"),
    [
        ({"tiled": True, "blockxsize": 512, "blockysize": 512, "count": 4, "dtype": "uint16"}, (1024, 512)),
        ({"tiled": True, "blockxsize": 256, "blockysize": 256, "count": 4, "dtype": "uint16"}, (1024, 512)),
        ({"tiled": True, "blockxsize": 512, "blockysize": 512, "count": 13, "dtype": "float64"}, (512, 512)),
        ({"blockysize": 16, "count": 4, "dtype": "uint16"}, (40_000, 16)),
        ({"blockysize": 1, "count": 3, "dtype": "uint8"}, (40_000, 34)),
        ({"blockysize": 400, "count": 3, "dtype": "uint8"}, (40_000, 104)),  # parts of blocks that are too large
    ],
)
def test_chunks_are_whole_blocks_of_a_few_megabytes(
    tmp_path: Path, profile: dict[str, object], chunk: tuple[int, int]
) -> None:
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", width=40_000, height=2_000, sparse_ok=True, **profile):
        pass
    assert chunk_grid(open_scene(str(path), stretch="none")).chunk == chunk


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
def test_tiles_are_assembled_from_the_fewest_chunks(
    width: int,
    height: int,
    block: tuple[int, int],
    times: tuple[int, int],
    size: int,
    overlap: int,
    modulo: int,
) -> None:
    grid = Grid(width, height, size, min(overlap, size - 1))
    chunks = ChunkGrid(width, height, block, (block[0] * times[0], block[1] * times[1]))
    values = np.random.default_rng(0).integers(1, 256, (height, width, 3)).astype(np.uint8)
    read = []

    def wanted(tile: Tile) -> bool:
        return (tile.row + tile.col) % modulo == 0

    def parts(number: int, rect: Rect) -> list[Chunk]:
        read.append(rect)
        rects = chunks.blocks(rect) if number % 2 else [rect]
        return [Chunk((x, y, w, h), values[y : y + h, x : x + w], np.ones((h, w), bool)) for x, y, w, h in rects]

    selected: Callable[[Tile], bool] | None = wanted if modulo > 1 else None
    rects = map(chunks.rect, needed_chunks(chunks, grid, selected))
    results = list(assemble_tiles(chunks, grid, selected, (parts(*numbered) for numbered in enumerate(rects))))
    assert [result.tile for result in results] == [tile for tile in grid if wanted(tile)]
    for result in results:
        assert isinstance(result, TileImage)
        x, y, w, h = result.tile.rect
        assert np.array_equal(result.pixels[:h, :w], values[y : y + h, x : x + w])
        assert result.valid_pixels == result.valid[:h, :w].sum() == result.pixels.any(axis=2).sum() == w * h
    every = [chunks.rect((row, col)) for row in range(chunks.rows) for col in range(chunks.cols)]
    assert read == [rect for rect in every if any(map(wanted, grid.overlapping(rect)))], "each once, and none in vain"
