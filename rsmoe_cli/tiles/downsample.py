"""Large tiles as smaller pictures: averaged colours, and valid pixels counted in full resolution.

A tile is read in groups of rows, each of which is decoded once for mask and colours; the tiles of a run take turns, so
that wide blocks are decoded once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

from rsmoe_cli.raster.scene import Scene, read_pixels
from rsmoe_cli.tiles.chunks import ChunkGrid
from rsmoe_cli.tiles.grid import Grid, Tile
from rsmoe_cli.tiles.image import TileImage

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_RUN_WIDTH = 4096
"""Scene pixels along a run of tiles; neighbours share blocks."""
_GROUP_PIXELS = 2**20
"""Scene pixels of a group of rows, over the whole run."""


def reduced_runs(grid: Grid, layout: ChunkGrid, wanted: Callable[[Tile], bool] | None) -> Iterator[tuple[Tile, ...]]:
    """Groups the wanted tiles of each row so that blocks are shared, however wide they are."""
    for run in grid.runs(max(1, max(_RUN_WIDTH, layout.block[0]) // grid.size)):
        tiles = tuple(tile for tile in run if wanted is None or wanted(tile))
        if tiles:
            yield tiles


def read_reduced(dataset: DatasetReader, scene: Scene, run: Sequence[Tile], side: int) -> list[TileImage]:
    """Tiles of one row as pictures of `side` pixels a side. A picture pixel is valid if any scene pixel under it is.

    Raises:
        rasterio.errors.RasterioIOError: pixels that cannot be read.
    """
    high = run[0].height
    rows = max(1, round(high * side / run[0].size))
    tops = np.arange(rows + 1) * high // rows
    step = max(1, _GROUP_PIXELS * rows // (high * sum(tile.width for tile in run)))
    canvases = [_Canvas(tile, side) for tile in run]
    for first in range(0, rows, step):
        group = slice(first, min(first + step, rows))
        for canvas in canvases:
            canvas.read(dataset, scene, group, tops[group.start : group.stop + 1])
    return [canvas.image() for canvas in canvases]


class _Canvas:
    """The picture of one tile while it grows from the top."""

    def __init__(self, tile: Tile, side: int) -> None:
        self._tile = tile
        self._cols = max(1, round(tile.width * side / tile.size))
        self._pixels, self._valid = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), bool)
        self._valid_pixels = self._own_valid_pixels = 0

    def read(self, dataset: DatasetReader, scene: Scene, group: slice, tops: np.ndarray) -> None:
        """Reads a group of picture rows. `tops` are the first tile rows under them, and the first one below."""
        tile, cols, top, bottom = self._tile, self._cols, int(tops[0]), int(tops[-1])
        window = Window(tile.x, tile.y + top, tile.width, bottom - top)
        mask = scene.mask.read(dataset, window)
        if not mask.any():
            return
        own_rows, own_cols = tile.owned_slices()
        self._valid_pixels += int(mask.sum())
        self._own_valid_pixels += int(mask[max(0, own_rows.start - top) : max(0, own_rows.stop - top), own_cols].sum())
        lefts = np.arange(cols) * tile.width // cols
        valid = np.logical_or.reduceat(np.logical_or.reduceat(mask, tops[:-1] - top, axis=0), lefts, axis=1)
        pixels = read_pixels(dataset, scene, window, valid.shape)
        self._valid[group, :cols] = valid
        np.copyto(self._pixels[group, :cols], pixels, where=valid[..., None])

    def image(self) -> TileImage:
        """What was read."""
        return TileImage(self._tile, self._pixels, self._valid, self._valid_pixels, self._own_valid_pixels)
