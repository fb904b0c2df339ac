"""Scene size → tiles. Pure arithmetic in pixel coordinates: x runs right, y runs down, (0, 0) is the top left corner.

    Grid(width, height, size, overlap) ──▶ Tile, Tile, ...   row by row, from the top left

Every pixel of the scene lies in at least one tile and is owned by exactly one. Tiles at the right and bottom edges are
clipped to the scene, never dropped or shifted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rsmoe_core.errors import UsageError

Rect = tuple[int, int, int, int]
"""A rectangle of pixels of a scene: left edge, top edge, width and height."""

MIN_TILE_SIZE = 16
"""Smallest tile size in pixels; smaller tiles show nothing that could be described."""
_FIT_RANGE = (2 / 3, 3 / 2)
"""Limits of a tile size that is fitted to a scene, relative to the preferred size."""
_DEVIATION_COST = 0.25
"""Weight of the log ratio between a size and the preferred one, relative to the empty share of the tiles."""


@dataclass(frozen=True)
class Tile:
    """One square of the grid, clipped to the scene."""

    row: int
    """Row of the grid, 0 at the top."""
    col: int
    """Column of the grid, 0 at the left."""
    x: int
    """Left edge, in scene pixels."""
    y: int
    """Top edge, in scene pixels."""
    width: int
    """Pixels inside the scene, at most `size`."""
    height: int
    """Pixels inside the scene, at most `size`."""
    size: int
    """Side of the full tile in scene pixels, before clipping."""
    owned: Rect
    """The part of the scene that it owns.

    Overlaps are divided in the middle: every scene pixel is owned once, by the tile with most context around it.
    """

    @property
    def id(self) -> str:
        """Name of the tile in outputs, such as `r0003c0012`."""
        return f"r{self.row:04d}c{self.col:04d}"

    @property
    def rect(self) -> Rect:
        """Left edge, top edge, width and height, in scene pixels."""
        return self.x, self.y, self.width, self.height

    @property
    def pixels(self) -> int:
        """Number of scene pixels in the tile."""
        return self.width * self.height

    @property
    def owned_pixels(self) -> int:
        """Number of scene pixels that it owns."""
        return self.owned[2] * self.owned[3]

    def owned_slices(self) -> tuple[slice, slice]:
        """Rows and columns that it owns, counted from its top left corner."""
        left, top, width, height = self.owned
        return slice(top - self.y, top - self.y + height), slice(left - self.x, left - self.x + width)


@dataclass(frozen=True)
class Grid:
    """All tiles of a scene."""

    width: int
    """Columns of the scene, in pixels."""
    height: int
    """Rows of the scene, in pixels."""
    size: int
    """Side of a tile, in pixels."""
    overlap: int = 0
    """Pixels that neighbouring tiles share."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"a tile of {self.size} pixels is not possible; choose --tile-size 1 or more")
        if not 0 <= self.overlap < self.size:
            raise UsageError(
                f"an overlap of {self.overlap} pixels does not fit tiles of {self.size}; "
                f"choose --overlap between 0 and {self.size - 1}"
            )

    @property
    def step(self) -> int:
        """Distance from one tile to the next, in pixels."""
        return self.size - self.overlap

    @property
    def rows(self) -> int:
        """Number of tile rows."""
        return _count(self.height, self.size, self.step)

    @property
    def cols(self) -> int:
        """Number of tile columns."""
        return _count(self.width, self.size, self.step)

    def __len__(self) -> int:
        return self.rows * self.cols

    def __iter__(self) -> Iterator[Tile]:
        return (self.tile(row, col) for row in range(self.rows) for col in range(self.cols))

    def tile(self, row: int, col: int) -> Tile:
        """The tile in that row and column."""
        x, y = col * self.step, row * self.step
        left, owned_width = self._owned(col, self.cols, self.width)
        top, owned_height = self._owned(row, self.rows, self.height)
        return Tile(
            row=row,
            col=col,
            x=x,
            y=y,
            width=min(self.size, self.width - x),
            height=min(self.size, self.height - y),
            size=self.size,
            owned=(left, top, owned_width, owned_height),
        )

    def number(self, tile: Tile) -> int:
        """Position of a tile in the order of the grid, from 0."""
        return tile.row * self.cols + tile.col

    def _owned(self, index: int, count: int, extent: int) -> tuple[int, int]:
        """Start and length of what a tile owns along one axis; only the outermost tiles own the scene's edges."""
        start = index * self.step + self.overlap // 2 if index else 0
        end = (index + 1) * self.step + self.overlap // 2 if index < count - 1 else extent
        return start, end - start

    def runs(self, length: int) -> Iterator[tuple[Tile, ...]]:
        """Neighbouring tiles of a row, in runs of at most `length` tiles."""
        for row in range(self.rows):
            for start in range(0, self.cols, length):
                yield tuple(self.tile(row, col) for col in range(start, min(start + length, self.cols)))

    def overlapping(self, rect: Rect) -> Iterator[Tile]:
        """The tiles that share pixels with a rectangle, row by row."""
        rows, cols = self._overlapping(rect)
        return (self.tile(row, col) for row in rows for col in cols)

    def is_last(self, tile: Tile, rect: Rect) -> bool:
        """Whether a tile that shares pixels with a rectangle is the last one in the grid's order that does."""
        rows, cols = self._overlapping(rect)
        return (tile.row, tile.col) == (rows[-1], cols[-1])

    def _overlapping(self, rect: Rect) -> tuple[range, range]:
        """Rows and columns of the tiles that share pixels with a rectangle."""
        x, y, width, height = rect

        def along_axis(start: int, length: int, count: int) -> range:
            first, last = (start - self.size) // self.step + 1, (start + length - 1) // self.step
            return range(max(0, first), min(count, last + 1))

        return along_axis(y, height, self.rows), along_axis(x, width, self.cols)


def _count(extent: int, size: int, step: int) -> int:
    """Tiles along one axis: as few as reach the end."""
    return 1 + max(0, -(-(extent - size) // step))


def fitting_tile_size(width: int, height: int, preferred: int, overlap: int = 0) -> int:
    """The tile size near the preferred one that divides a scene best, all in pixels.

    Tiles of exactly the preferred size usually leave narrow strips at the right and at the bottom, in which nothing can
    be recognised: 256 pixels would be a tile of 224 and a strip of 32, but are one tile of 256.
    """

    def cost(size: int) -> float:
        deviation = _DEVIATION_COST * abs(math.log(size / preferred))
        return deviation + sum(_empty_share(extent, size, size - overlap) for extent in (width, height))

    if overlap >= preferred:  # no size fits; Grid reports that
        return preferred
    smallest = max(MIN_TILE_SIZE, overlap + 1, round(preferred * _FIT_RANGE[0]))
    return min(range(smallest, round(preferred * _FIT_RANGE[1]) + 1), key=cost)


def _empty_share(extent: int, size: int, step: int) -> float:
    """Length by which tiles reach beyond the scene along one axis, as a share of the scene, at most 1."""
    end = step * (_count(extent, size, step) - 1) + size
    return min(1.0, (end - extent) / extent)


def parse_tile_size(text: str, metres_per_pixel: float | None) -> int:
    """`224` (pixels) or `500m` (metres on the ground) → pixels.

    Raises:
        UsageError: the text is neither, the scene's ground sample distance is unknown, or the tile would be too small.
    """
    metres = text.strip().lower().endswith("m")
    try:
        number = float(text.strip().lower().removesuffix("m")) if metres else int(text)
    except ValueError:
        raise UsageError(f"tile size '{text}' is not understood; write pixels (224) or metres (500m)") from None
    if metres and metres_per_pixel is None:
        raise UsageError(f"tile size '{text}' needs a scene with a CRS; write it in pixels, such as --tile-size 224")
    if not 0 < number < 1e9:
        raise UsageError(f"tile size '{text}' is not possible; write pixels (224) or metres (500m)")
    size = round(number / metres_per_pixel) if metres and metres_per_pixel else int(number)
    if size < MIN_TILE_SIZE:
        raise UsageError(f"a tile of {text} is {size} pixels here; choose at least {MIN_TILE_SIZE} pixels")
    return size
