"""Reads a scene along the blocks of its file, so that every block is fetched and decoded once, and assembles tiles.

    Scene ──▶ ChunkGrid ──▶ rectangles ──▶ Chunk | FailedChunk, row by row ──▶ TileImage | TileFailure, row by row

A chunk is buffered until the last tile that needs it has been assembled: about one row of chunks is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from rsmoe_cli.raster.scene import Scene, read_pixels
from rsmoe_cli.tiles.grid import Grid, Rect, Tile
from rsmoe_cli.tiles.image import TileFailure, TileImage, TileResult

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

ChunkIndex = tuple[int, int]
"""Row and column of a chunk in its grid."""

_CHUNK_BYTES = 2**22
"""Approximate decoded size of a chunk, with all bands of the file."""
_CHUNK_HEIGHT = 512
"""Approximate height of chunks of small blocks; it spares the blocks of files behind a VRT from being read twice."""
_MAX_BLOCK_PIXELS = 2**22
"""Larger blocks are split into several chunks."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """Pixels that were read at once."""

    rect: Rect
    """Their position."""
    pixels: NDArray[np.uint8]
    """HxWx3, red-green-blue; black where they are not valid."""
    valid: NDArray[np.bool_]
    """HxW, true where the scene has a valid pixel."""


@dataclass(frozen=True)
class FailedChunk:
    """Pixels that could not be read."""

    rect: Rect
    """Their position."""
    error: str
    """One line on the cause."""


@dataclass(frozen=True)
class ChunkGrid:
    """How a scene is divided into chunks, each of which consists of whole blocks."""

    width: int
    """Columns of the scene, in pixels."""
    height: int
    """Rows of the scene, in pixels."""
    block: tuple[int, int]
    """Width and height of a block, in pixels."""
    chunk: tuple[int, int]
    """Width and height of a chunk, in pixels."""

    @property
    def rows(self) -> int:
        """Number of rows of chunks."""
        return -(-self.height // self.chunk[1])

    @property
    def cols(self) -> int:
        """Number of columns of chunks."""
        return -(-self.width // self.chunk[0])

    def rect(self, index: ChunkIndex) -> Rect:
        """The rectangle of a chunk, clipped to the scene."""
        (row, col), (width, height) = index, self.chunk
        x, y = col * width, row * height
        return x, y, min(width, self.width - x), min(height, self.height - y)

    def overlapping(self, rect: Rect) -> list[ChunkIndex]:
        """The chunks that share pixels with a rectangle, row by row."""
        (x, y, width, height), (chunk_width, chunk_height) = rect, self.chunk
        rows = range(y // chunk_height, (y + height - 1) // chunk_height + 1)
        cols = range(x // chunk_width, (x + width - 1) // chunk_width + 1)
        return [(row, col) for row in rows for col in cols]

    def blocks(self, rect: Rect) -> list[Rect]:
        """The blocks of a chunk."""
        (left, top, width, height), (block_width, block_height) = rect, self.block
        return [
            (x, y, min(block_width, left + width - x), min(block_height, top + height - y))
            for y in range(top, top + height, block_height)
            for x in range(left, left + width, block_width)
        ]


def chunk_grid(scene: Scene) -> ChunkGrid:
    """The grid for a scene, by the blocks of its file."""
    block_height, block_width = scene.block_shape
    if block_height * block_width > _MAX_BLOCK_PIXELS:
        block_height = max(1, _MAX_BLOCK_PIXELS // block_width)
    pixels = max(_CHUNK_BYTES // scene.pixel_bytes, block_height * block_width)
    height = max(1, min(_CHUNK_HEIGHT, pixels // block_width) // block_height) * block_height
    width = max(1, pixels // height // block_width) * block_width
    return ChunkGrid(scene.width, scene.height, (block_width, block_height), (width, height))


def read_chunk(dataset: DatasetReader, scene: Scene, rect: Rect) -> Chunk:
    """Reads a rectangle of a scene; only its mask, where no pixel is valid.

    Raises:
        rasterio.errors.RasterioIOError: the pixels cannot be read.
    """
    window = Window(*rect)
    valid = scene.mask.read(dataset, window)
    pixels = np.zeros((*valid.shape, 3), np.uint8)
    if valid.any():
        np.copyto(pixels, read_pixels(dataset, scene, window), where=valid[..., None])
    return Chunk(rect, pixels, valid)


def needed_chunks(chunks: ChunkGrid, grid: Grid, wanted: Callable[[Tile], bool] | None) -> Iterator[ChunkIndex]:
    """The chunks that the wanted tiles overlap, row by row; all chunks if `wanted` is None."""
    for row in range(chunks.rows):
        for col in range(chunks.cols):
            if wanted is None or any(map(wanted, grid.overlapping(chunks.rect((row, col))))):
                yield row, col


def assemble_tiles(
    chunks: ChunkGrid,
    grid: Grid,
    wanted: Callable[[Tile], bool] | None,
    results: Iterable[Sequence[Chunk | FailedChunk]],
) -> Iterator[TileResult]:
    """Assembles the wanted tiles in order.

    Args:
        chunks: How the scene was divided.
        grid: The tiles of the scene.
        wanted: Which tiles to assemble; None for all.
        results: The needed chunks in their order, each of them whole or in parts.
    """
    incoming = zip(needed_chunks(chunks, grid, wanted), results, strict=True)
    buffered: dict[ChunkIndex, Sequence[Chunk | FailedChunk]] = {}
    for tile in grid:
        indexes = chunks.overlapping(tile.rect)
        if wanted is None or wanted(tile):
            while indexes[-1] not in buffered:
                index, parts = next(incoming)
                buffered[index] = parts
            yield assemble_tile(tile, [part for index in indexes for part in buffered[index]])
        for index in indexes:
            if grid.is_last(tile, chunks.rect(index)):
                buffered.pop(index, None)


def assemble_tile(tile: Tile, chunks: Iterable[Chunk | FailedChunk]) -> TileResult:
    """The image of a tile, padded to its full size; a failure if a part of it could not be read."""
    pixels, valid = np.zeros((tile.size, tile.size, 3), np.uint8), np.zeros((tile.size, tile.size), bool)
    for chunk in chunks:
        x, y, width, height = chunk.rect
        left, right = max(x, tile.x), min(x + width, tile.x + tile.width)
        top, bottom = max(y, tile.y), min(y + height, tile.y + tile.height)
        if left >= right or top >= bottom:
            continue
        if isinstance(chunk, FailedChunk):
            return TileFailure(tile, chunk.error)
        in_tile = slice(top - tile.y, bottom - tile.y), slice(left - tile.x, right - tile.x)
        in_chunk = slice(top - y, bottom - y), slice(left - x, right - x)
        valid[in_tile] = chunk.valid[in_chunk]
        pixels[in_tile] = chunk.pixels[in_chunk]
    return TileImage(tile, pixels, valid, int(valid.sum()), int(valid[tile.owned_slices()].sum()))
