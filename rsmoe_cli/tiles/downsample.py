"""Reads large tiles as smaller images: colours are averaged, and valid pixels are counted in full resolution.

A tile is read in groups of rows, each of which is decoded once for mask and colours. Neighbouring tiles are read
together, group by group, so that wide blocks are decoded once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from rsmoe_cli.raster.dataset import read_bands
from rsmoe_cli.raster.scene import Scene, draw, read_pixels
from rsmoe_cli.tiles.chunks import ChunkGrid
from rsmoe_cli.tiles.grid import Grid, Tile
from rsmoe_cli.tiles.image import TileImage

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_RUN_WIDTH = 4096
"""Width of the neighbouring tiles that are read together, in scene pixels."""
_GROUP_PIXELS = 2**20
"""Scene pixels of a group of rows, across all tiles that are read together."""


def downsampled_runs(
    grid: Grid, chunks: ChunkGrid, wanted: Callable[[Tile], bool] | None
) -> Iterator[tuple[Tile, ...]]:
    """The wanted tiles of each row in runs of neighbours that share blocks, however wide these are."""
    for run in grid.runs(max(1, max(_RUN_WIDTH, chunks.block[0]) // grid.size)):
        tiles = tuple(tile for tile in run if wanted is None or wanted(tile))
        if tiles:
            yield tiles


def read_downsampled(dataset: DatasetReader, scene: Scene, run: Sequence[Tile], side: int) -> list[TileImage]:
    """Tiles of one row as images of `side` pixels a side. An image pixel is valid if any scene pixel under it is.

    Raises:
        rasterio.errors.RasterioIOError: the pixels cannot be read.
    """
    height = run[0].height
    rows = max(1, round(height * side / run[0].size))
    tops = np.arange(rows + 1) * height // rows
    step = max(1, _GROUP_PIXELS * rows // (height * sum(tile.width for tile in run)))
    images = [_PartialImage(tile, side) for tile in run]
    for first in range(0, rows, step):
        group = slice(first, min(first + step, rows))
        for image in images:
            image.read(dataset, scene, group, tops[group.start : group.stop + 1])
    return [image.finish() for image in images]


class _PartialImage:
    """The image of one tile, which is read from top to bottom."""

    def __init__(self, tile: Tile, side: int) -> None:
        self._tile = tile
        self._cols = max(1, round(tile.width * side / tile.size))
        self._pixels, self._valid = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), bool)
        self._valid_pixels = self._owned_valid_pixels = 0

    def read(self, dataset: DatasetReader, scene: Scene, group: slice, tops: np.ndarray) -> None:
        """Reads a group of image rows. `tops` are the tile rows where each of them, and the row below them, begins."""
        tile, cols, top, bottom = self._tile, self._cols, int(tops[0]), int(tops[-1])
        window = Window(tile.x, tile.y + top, tile.width, bottom - top)
        mask = scene.mask.read(dataset, window)
        if not mask.any():
            return
        rows, columns = tile.owned_slices()
        owned = mask[max(0, rows.start - top) : max(0, rows.stop - top), columns]
        self._valid_pixels += int(mask.sum())
        self._owned_valid_pixels += int(owned.sum())
        lefts = np.arange(cols) * tile.width // cols
        valid = np.logical_or.reduceat(np.logical_or.reduceat(mask, tops[:-1] - top, axis=0), lefts, axis=1)
        if scene.palette is not None or scene.mask.is_gdals or (mask.all() and not scene.mask.is_alpha_ignored):
            pixels = read_pixels(dataset, scene, window, valid.shape)
        else:
            values = read_bands(dataset, scene.band_selection.indexes, window=window)
            pixels = draw(scene, _averages(values, mask, tops[:-1] - top, lefts))
        self._valid[group, :cols] = valid
        np.copyto(self._pixels[group, :cols], pixels, where=valid[..., None])

    def finish(self) -> TileImage:
        """The complete image."""
        return TileImage(self._tile, self._pixels, self._valid, self._valid_pixels, self._owned_valid_pixels)


def _averages(values: NDArray[Any], valid: NDArray[np.bool_], tops: np.ndarray, lefts: np.ndarray) -> NDArray[Any]:
    """Averages of the valid pixels among CxHxW values, in cells that begin at these rows and columns; CxRxK."""
    real = np.where(valid, values, 0).astype(np.float64)
    sums, counts = (np.add.reduceat(np.add.reduceat(part, tops, axis=-2), lefts, axis=-1) for part in (real, valid * 1))
    means = sums / np.maximum(counts, 1)
    return (means if np.issubdtype(values.dtype, np.floating) else np.rint(means)).astype(values.dtype)
