"""Scene + Grid → TileImage | TileFailure, in tile order, read ahead of the engine by a few threads.

Tiles in full resolution are assembled from chunks of the scene that follow the blocks of its file. Tiles that are
larger than the engine can use are read in reduced resolution, a run of neighbours at a time. Either way memory does not
grow with the scene.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import quiet_gdal
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.chunks import (
    Chunk,
    ChunkGrid,
    FailedChunk,
    assemble_tile,
    assemble_tiles,
    chunk_grid,
    needed_chunks,
    read_chunk,
)
from rsmoe_cli.tiles.downsample import downsampled_runs, read_downsampled
from rsmoe_cli.tiles.grid import Grid, Rect, Tile
from rsmoe_cli.tiles.image import TileFailure, TileImage, TileResult
from rsmoe_cli.tiles.prefetch import MAX_READERS, RETRY_DELAYS, JobHandler, ReaderPool, ReadingLog, failure_reason

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

OVERSAMPLING = 2
"""Large tiles are read with up to this many times the pixels a side that the engine uses; it does the rest itself."""
_BUFFERED_PIXELS = 24 * 2**20
"""Scene pixels in memory, four bytes each: a row of blocks of a scene 40,000 pixels wide, and some ahead of it."""


def read_tiles(
    scene: Scene,
    grid: Grid,
    max_side: int,
    readers: int = MAX_READERS,
    wanted: Callable[[Tile], bool] | None = None,
    log: ReadingLog | None = None,
) -> Iterator[TileResult]:
    """Yields the wanted tiles in order; those that cannot be read as a `TileFailure`.

    Args:
        scene: The scene to read.
        grid: Its tiles.
        max_side: Longest side of an image, in pixels.
        readers: Most threads to use; usually two are enough.
        wanted: Which tiles to read; None for all.
        log: Updated while tiles are taken.
    """
    try:
        with quiet_gdal():
            first = scene.open()
    except SceneError as error:  # the file has vanished or changed since the scene was opened
        yield from (TileFailure(tile, str(error)) for tile in grid if wanted is None or wanted(tile))
        return
    chunks = chunk_grid(scene)
    delays = RETRY_DELAYS if scene.is_remote else ()
    if grid.size > max_side:
        with ReaderPool(scene.open, _run_handler(scene, max_side), first, log, readers, delays) as pool:
            for results in pool.in_order(downsampled_runs(grid, chunks, wanted), ahead=readers):
                yield from (_written(scene, result) for result in chain.from_iterable(results))
    else:
        row_pixels = chunks.width * chunks.chunk[1]
        ahead = max(readers, (_BUFFERED_PIXELS - row_pixels) // (chunks.chunk[0] * chunks.chunk[1]))
        with ReaderPool(scene.open, _rect_handler(scene, chunks), first, log, readers, delays) as pool:
            parts = pool.in_order(map(chunks.rect, needed_chunks(chunks, grid, wanted)), ahead)
            yield from (_written(scene, result) for result in assemble_tiles(chunks, grid, wanted, parts))


def read_tile(dataset: DatasetReader, scene: Scene, tile: Tile, max_side: int) -> TileResult:
    """Reads a single tile from an open dataset."""
    try:
        if tile.size > max_side:
            return _written(scene, read_downsampled(dataset, scene, [tile], max_side)[0])
        return _written(scene, assemble_tile(tile, [read_chunk(dataset, scene, tile.rect)]))
    except Exception as error:  # other tiles can still be read
        return TileFailure(tile, failure_reason(error))


def _written(scene: Scene, result: TileResult) -> TileResult:
    """A blank tile in place of one to which nothing was written."""
    if scene.may_be_unwritten and isinstance(result, TileImage) and result.is_unwritten:
        return result.blank()
    return result


def _run_handler(scene: Scene, side: int) -> JobHandler[tuple[Tile, ...], Sequence[TileResult]]:
    return JobHandler(
        read=lambda dataset, run: read_downsampled(dataset, scene, run, side),
        split=lambda run: [(tile,) for tile in run],
        fail=lambda run, error: [TileFailure(tile, error) for tile in run],
    )


def _rect_handler(scene: Scene, chunks: ChunkGrid) -> JobHandler[Rect, Chunk | FailedChunk]:
    return JobHandler(
        read=lambda dataset, rect: read_chunk(dataset, scene, rect), split=chunks.blocks, fail=FailedChunk
    )
