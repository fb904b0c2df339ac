"""What comes of reading a tile: its picture, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsmoe_cli.tiles.grid import Tile


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
    owned_valid_pixels: int
    """The part of them in the area that the tile owns; their sum over all tiles is the scene's number."""

    @property
    def valid_fraction(self) -> float:
        """Share of the tile's pixels within the scene that are valid, 0-1."""
        return self.valid_pixels / self.tile.pixels

    def metres_per_pixel(self, of_scene: float | None) -> float | None:
        """Ground sample distance of the picture, which may have fewer pixels than its tile; `of_scene` is the scene's,
        None where nobody knows it.
        """
        return None if of_scene is None else of_scene * self.tile.size / len(self.pixels)


@dataclass(frozen=True)
class TileFailure:
    """A tile that could not be read."""

    tile: Tile
    error: str
    """One line that says why."""


TileResult = TileImage | TileFailure
"""What comes of reading a tile."""
