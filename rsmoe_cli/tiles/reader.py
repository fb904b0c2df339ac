"""Tiles → pictures, read ahead of the engine by a few threads and handed over in tile order.

    Scene, Grid ──▶ jobs ──▶ readers ──▶ TileImage | TileFailure, in order

Tiles that are read pixel by pixel are assembled from chunks of the scene that lie along the blocks of its file; tiles
that are read in reduced resolution are jobs themselves. Either way memory does not grow with the scene.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from rsmoe_cli.raster.dataset import is_remote, open_dataset, quiet_gdal
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.chunks import Box, Chunk, ChunkGrid, FailedChunk, chunk_grid, join, join_all, needed, read_chunk
from rsmoe_cli.tiles.downsample import read_reduced, reduced_runs
from rsmoe_cli.tiles.grid import Grid, Tile
from rsmoe_cli.tiles.image import TileFailure, TileResult
from rsmoe_cli.tiles.prefetch import MAX_READERS, RETRY_DELAYS, Readers, ReadingLog, Work, why

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

OVERSAMPLING = 2
"""Large tiles are read with up to this many times the pixels a side that the engine sees."""
_HELD_PIXELS = 24 * 2**20
"""Scene pixels that are held, four bytes each: a row of blocks of a scene 40,000 pixels wide, and some ahead of it."""


def read_tiles(
    scene: Scene,
    grid: Grid,
    max_side: int,
    readers: int = MAX_READERS,
    wanted: Callable[[Tile], bool] | None = None,
    log: ReadingLog | None = None,
) -> Iterator[TileResult]:
    """Yields every wanted tile in order, as a picture of at most `max_side` pixels a side or as a failure.

    At most `readers` threads are used, two in general; `log` is kept up to date while the tiles are taken. `wanted` of
    None wants all.
    """
    try:
        with quiet_gdal(), open_dataset(scene.path) as dataset:
            layout = chunk_grid(dataset, scene.band_selection.indexes[0])
            pauses = RETRY_DELAYS if is_remote(dataset, scene.path) else ()
    except Exception as error:  # it could be opened a moment ago; every tile is told what happened since
        yield from (TileFailure(tile, why(error)) for tile in grid if wanted is None or wanted(tile))
        return
    if grid.size > max_side:
        with Readers(scene.path, _runs(scene, max_side), log, readers, pauses) as pool:
            for parts in pool.in_order(reduced_runs(grid, layout, wanted), ahead=readers):
                yield from chain.from_iterable(parts)
    else:
        held = layout.width * layout.piece[1]
        ahead = max(readers, (_HELD_PIXELS - held) // (layout.piece[0] * layout.piece[1]))
        with Readers(scene.path, _boxes(scene, layout), log, readers, pauses) as pool:
            pieces = pool.in_order(map(layout.box, needed(layout, grid, wanted)), ahead)
            yield from join_all(layout, grid, wanted, pieces)


def _runs(scene: Scene, side: int) -> Work[tuple[Tile, ...], Sequence[TileResult]]:
    return Work(
        read=lambda dataset, run: read_reduced(dataset, scene, run, side),
        split=lambda run: [(tile,) for tile in run],
        lose=lambda run, error: [TileFailure(tile, error) for tile in run],
    )


def _boxes(scene: Scene, layout: ChunkGrid) -> Work[Box, Chunk | FailedChunk]:
    return Work(read=lambda dataset, box: read_chunk(dataset, scene, box), split=layout.split, lose=FailedChunk)


def read_tile(dataset: DatasetReader, scene: Scene, tile: Tile, max_side: int) -> TileResult:
    """Reads a single tile."""
    try:
        if tile.size > max_side:
            return read_reduced(dataset, scene, [tile], max_side)[0]
        return join(tile, [read_chunk(dataset, scene, tile.rect)])
    except Exception as error:  # whatever went wrong, other tiles can still be read
        return TileFailure(tile, why(error))
