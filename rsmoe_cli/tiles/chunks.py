"""A scene cut along the blocks of its file, so that every block is fetched and decoded once, and tiles made of that.

    block shape ──▶ ChunkGrid ──▶ boxes ──▶ Chunk | FailedChunk, row by row ──▶ TileImage | TileFailure, row by row

A piece is held until its last tile is made: about a row of them.

Boxes are left edge, top edge, width and height in scene pixels, as those of tiles are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from rsmoe_cli.raster.scene import Scene, read_pixels
from rsmoe_cli.tiles.grid import Grid, Tile
from rsmoe_cli.tiles.image import TileFailure, TileImage, TileResult

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

Box = tuple[int, int, int, int]
"""Left edge, top edge, width and height, in scene pixels."""
Place = tuple[int, int]
"""Row and column of a piece in its layout."""

_PIECE_BYTES = 2**22
"""About what a piece has in the file, decoded, all bands together."""
_PIECE_HEIGHT = 512
"""Pieces of small blocks are about this high, so that blocks in files behind a VRT are met only once, too."""
_LARGEST_BLOCK = 2**22
"""Pixels; of larger blocks a piece is a part."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """Pixels that were read in one go."""

    box: Box
    """Where they lie."""
    pixels: NDArray[np.uint8]
    """HxWx3, red-green-blue; black where they are not valid."""
    valid: NDArray[np.bool_]
    """HxW, true where the scene has a valid pixel."""


@dataclass(frozen=True)
class FailedChunk:
    """Pixels that cannot be read."""

    box: Box
    """Where they would lie."""
    error: str
    """One line that says why."""


@dataclass(frozen=True)
class ChunkGrid:
    """How a scene is cut; pieces consist of whole blocks."""

    width: int
    """Columns of the scene, in pixels."""
    height: int
    """Rows of the scene, in pixels."""
    block: tuple[int, int]
    """Width and height of a block, in pixels."""
    piece: tuple[int, int]
    """Width and height of a piece, in pixels."""

    @property
    def rows(self) -> int:
        """Number of rows of pieces."""
        return -(-self.height // self.piece[1])

    @property
    def cols(self) -> int:
        """Number of columns of pieces."""
        return -(-self.width // self.piece[0])

    def box(self, place: Place) -> Box:
        """Where a piece lies."""
        (row, col), (width, height) = place, self.piece
        x, y = col * width, row * height
        return x, y, min(width, self.width - x), min(height, self.height - y)

    def under(self, box: Box) -> list[Place]:
        """The pieces that a box touches, row by row."""
        (x, y, width, height), (wide, high) = box, self.piece
        rows, cols = range(y // high, (y + height - 1) // high + 1), range(x // wide, (x + width - 1) // wide + 1)
        return [(row, col) for row in rows for col in cols]

    def split(self, box: Box) -> list[Box]:
        """The blocks of a box."""
        (left, top, width, height), (wide, high) = box, self.block
        return [
            (x, y, min(wide, left + width - x), min(high, top + height - y))
            for y in range(top, top + height, high)
            for x in range(left, left + width, wide)
        ]


def chunk_grid(dataset: DatasetReader, band: int) -> ChunkGrid:
    """The layout for a file, by the blocks of one of its bands."""
    block_height, block_width = dataset.block_shapes[band - 1]
    pixel_bytes = sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    if block_height * block_width > _LARGEST_BLOCK:
        block_height = max(1, _LARGEST_BLOCK // block_width)
    pixels = max(_PIECE_BYTES // pixel_bytes, block_height * block_width)
    height = max(1, min(_PIECE_HEIGHT, pixels // block_width) // block_height) * block_height
    width = max(1, pixels // height // block_width) * block_width
    return ChunkGrid(dataset.width, dataset.height, (block_width, block_height), (width, height))


def read_chunk(dataset: DatasetReader, scene: Scene, box: Box) -> Chunk:
    """Reads a box; where no pixel is valid, only the mask.

    Raises:
        rasterio.errors.RasterioIOError: pixels that cannot be read.
    """
    window = Window(*box)
    valid = scene.mask.read(dataset, window)
    pixels = np.zeros((*valid.shape, 3), np.uint8)
    if valid.any():
        np.copyto(pixels, read_pixels(dataset, scene, window), where=valid[..., None])
    return Chunk(box, pixels, valid)


def needed(layout: ChunkGrid, grid: Grid, wanted: Callable[[Tile], bool] | None) -> Iterator[Place]:
    """The pieces that wanted tiles touch, row by row; `wanted` of None wants all."""
    for row in range(layout.rows):
        for col in range(layout.cols):
            if wanted is None or any(map(wanted, grid.touching(layout.box((row, col))))):
                yield row, col


def join_all(
    layout: ChunkGrid,
    grid: Grid,
    wanted: Callable[[Tile], bool] | None,
    arriving: Iterable[Sequence[Chunk | FailedChunk]],
) -> Iterator[TileResult]:
    """Makes the wanted tiles, in order; `arriving` are the needed pieces in their order, each perhaps in parts."""
    coming = zip(needed(layout, grid, wanted), arriving, strict=True)
    held: dict[Place, Sequence[Chunk | FailedChunk]] = {}
    for tile in grid:
        places = layout.under(tile.rect)
        if wanted is None or wanted(tile):
            while places[-1] not in held:
                place, pieces = next(coming)
                held[place] = pieces
            yield join(tile, [piece for place in places for piece in held[place]])
        for place in places:
            if grid.is_last(tile, layout.box(place)):
                held.pop(place, None)


def join(tile: Tile, pieces: Iterable[Chunk | FailedChunk]) -> TileResult:
    """The picture of a tile, padded to its full size; a failure if there is a hole in it."""
    pixels, valid = np.zeros((tile.size, tile.size, 3), np.uint8), np.zeros((tile.size, tile.size), bool)
    for piece in pieces:
        x, y, width, height = piece.box
        left, right = max(x, tile.x), min(x + width, tile.x + tile.width)
        top, bottom = max(y, tile.y), min(y + height, tile.y + tile.height)
        if left >= right or top >= bottom:
            continue
        if isinstance(piece, FailedChunk):
            return TileFailure(tile, piece.error)
        there = slice(top - tile.y, bottom - tile.y), slice(left - tile.x, right - tile.x)
        here = slice(top - y, bottom - y), slice(left - x, right - x)
        valid[there] = piece.valid[here]
        pixels[there] = piece.pixels[here]
    return TileImage(tile, pixels, valid, int(valid.sum()), int(valid[tile.owned_slices()].sum()))
