"""Tiles → pictures, read ahead of the engine by a few threads and handed over in tile order.

    Scene, Grid ──▶ runs of neighbouring tiles ──▶ threads, one open file each ──▶ TileImage | TileFailure, in order

A run is read in one go, so that a file's blocks are decoded once for all of its tiles. Only a few runs exist at any
time, whatever the size of the scene.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster import Scene, first_line, open_dataset, quiet_gdal, read_pixels
from rsmoe_cli.tiling import Grid, Tile

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

DETAIL = 2
"""Large tiles are read with up to this many times the pixels a side that the engine sees."""
READERS = 2
RUNS_AHEAD = 3
RUN_PIXELS = 2**20
"""Scene pixels of one run; 20 tiles of 224 pixels."""
_STRIP_PIXELS = 2**22
"""Scene pixels of a large tile whose mask is looked at in one go."""


@dataclass(frozen=True, eq=False)
class TileImage:
    """The picture of one tile, padded to the full tile where the scene ends earlier."""

    tile: Tile
    pixels: NDArray[np.uint8]
    """SxSx3, red-green-blue; S is the tile size, or less for tiles that are read in reduced resolution."""
    valid: NDArray[np.bool_]
    """SxS, true where the scene has a valid pixel; padding is false."""
    valid_pixels: int
    """Valid scene pixels under the tile, counted in full resolution."""
    own_valid_pixels: int
    """The part of them in the area that the tile owns; their sum over all tiles is the scene's number."""

    @property
    def valid_fraction(self) -> float:
        """Share of the tile's pixels within the scene that are valid, 0-1."""
        return self.valid_pixels / self.tile.pixels


@dataclass(frozen=True)
class TileFailure:
    """A tile that could not be read."""

    tile: Tile
    error: str
    """One line that says why."""


TileResult = TileImage | TileFailure
"""What comes of reading a tile."""


def read_tiles(
    scene: Scene,
    grid: Grid,
    max_side: int,
    readers: int = READERS,
    wanted: Callable[[Tile], bool] = lambda tile: True,
) -> Iterator[TileResult]:
    """Yields the wanted tiles of the grid in order, as pictures of at most `max_side` pixels a side or as failures."""
    runs = filter(None, (tuple(filter(wanted, run)) for run in grid.runs(RUN_PIXELS)))
    with _Readers(scene, max_side, readers) as pool:
        waiting = deque(pool.submit(run) for run in islice(runs, readers + RUNS_AHEAD))
        while waiting:
            yield from waiting.popleft().result()
            waiting.extend(pool.submit(run) for run in islice(runs, 1))


class _Readers:
    """A pool of threads that read runs; each takes an open file that no other is using, or opens one more."""

    def __init__(self, scene: Scene, max_side: int, count: int) -> None:
        self._scene, self._max_side = scene, max_side
        self._idle: list[DatasetReader] = []
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="rsmoe-reader")

    def __enter__(self) -> _Readers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for dataset in self._idle:
            dataset.close()

    def submit(self, run: Sequence[Tile]) -> Future[list[TileResult]]:
        return self._pool.submit(self._read, run)

    def _read(self, run: Sequence[Tile]) -> list[TileResult]:
        with quiet_gdal():
            try:
                dataset = self._take()
            except SceneError as error:
                return [TileFailure(tile, str(error)) for tile in run]
            try:
                return read_run(dataset, self._scene, run, self._max_side)
            finally:
                self._idle.append(dataset)

    def _take(self) -> DatasetReader:
        try:
            return self._idle.pop()
        except IndexError:
            return open_dataset(self._scene.path)


def read_run(dataset: DatasetReader, scene: Scene, run: Sequence[Tile], max_side: int) -> list[TileResult]:
    """Reads neighbouring tiles at once; if that fails, one by one, so that only the damaged ones are lost."""
    try:
        if run[0].size > max_side:
            return [_read_reduced(dataset, scene, tile, max_side) for tile in run]
        return _read_full(dataset, scene, run)
    except (RasterioError, OSError, MemoryError) as error:
        if len(run) == 1:
            return [TileFailure(run[0], f"cannot be read: {first_line(error)}")]
        return [result for tile in run for result in read_run(dataset, scene, [tile], max_side)]


def _read_full(dataset: DatasetReader, scene: Scene, run: Sequence[Tile]) -> list[TileResult]:
    """Tiles of one row, pixel by pixel."""
    left, last = run[0], run[-1]
    window = Window(left.x, left.y, last.x + last.width - left.x, left.height)
    pixels, valid = read_pixels(dataset, scene, window), scene.mask.read(dataset, window)
    cuts = [(tile, slice(tile.x - left.x, tile.x - left.x + tile.width)) for tile in run]
    return [
        _padded(
            tile,
            pixels[:, columns],
            valid[:, columns],
            side=tile.size,
            valid_pixels=int(valid[:, columns].sum()),
            own_valid_pixels=int(valid[:, columns][tile.own_slices()].sum()),
        )
        for tile, columns in cuts
    ]


def _read_reduced(dataset: DatasetReader, scene: Scene, tile: Tile, side: int) -> TileImage:
    """A large tile as a smaller picture. A picture pixel is valid if any scene pixel under it is."""
    height, width = (max(1, round(extent * side / tile.size)) for extent in (tile.height, tile.width))
    window = Window(tile.x, tile.y, tile.width, tile.height)
    pixels = read_pixels(dataset, scene, window, (height, width))
    if scene.mask.always_valid:
        return _padded(tile, pixels, np.ones((height, width), bool), side, tile.pixels, tile.own_pixels)
    row_edges = np.arange(height + 1) * tile.height // height
    col_starts = np.arange(width) * tile.width // width
    valid, count, own = np.zeros((height, width), bool), 0, 0
    own_rows, own_cols = tile.own_slices()
    strip = max(1, _STRIP_PIXELS * height // tile.pixels)
    for first in range(0, height, strip):
        top, bottom = int(row_edges[first]), int(row_edges[min(first + strip, height)])
        mask = scene.mask.read(dataset, Window(tile.x, tile.y + top, tile.width, bottom - top))
        count += int(mask.sum())
        own += int(mask[max(0, own_rows.start - top) : max(0, own_rows.stop - top), own_cols].sum())
        starts = row_edges[first : min(first + strip, height)] - top
        valid[first : first + strip] = np.logical_or.reduceat(
            np.logical_or.reduceat(mask, starts, axis=0), col_starts, axis=1
        )
    return _padded(tile, pixels, valid, side, count, own)


def _padded(
    tile: Tile,
    pixels: NDArray[np.uint8],
    valid: NDArray[np.bool_],
    side: int,
    valid_pixels: int,
    own_valid_pixels: int,
) -> TileImage:
    """Grows a clipped picture to the right and to the bottom; pixels that are not valid are black."""
    height, width = valid.shape
    full_pixels, full_valid = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), bool)
    full_valid[:height, :width] = valid
    np.copyto(full_pixels[:height, :width], pixels, where=valid[..., None])
    return TileImage(tile, full_pixels, full_valid, valid_pixels, own_valid_pixels)
