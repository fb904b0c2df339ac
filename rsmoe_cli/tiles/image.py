"""The result of reading a tile: its image, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rsmoe_cli.tiles.grid import Tile


@dataclass(frozen=True, eq=False)
class TileImage:
    """The image of one tile, padded to the full tile where it reaches beyond the scene."""

    tile: Tile
    """Which tile it shows."""
    pixels: NDArray[np.uint8]
    """SxSx3, red-green-blue; S is the tile size, or less for tiles that are read in reduced resolution."""
    valid: NDArray[np.bool_]
    """SxS, true where the scene has a valid pixel; padding is false."""
    valid_pixels: int
    """Valid scene pixels of the tile, counted in full resolution."""
    owned_valid_pixels: int
    """Those of them that the tile owns; over all tiles they add up to the valid pixels of the scene."""

    @property
    def valid_fraction(self) -> float:
        """Valid share of the tile's pixels within the scene, 0-1."""
        return self.valid_pixels / self.tile.pixels

    def metres_per_pixel(self, scene_metres_per_pixel: float | None) -> float | None:
        """Ground sample distance of the image, which may have fewer pixels than its tile; None if it is unknown."""
        if scene_metres_per_pixel is None:
            return None
        return scene_metres_per_pixel * self.tile.size / len(self.pixels)

    @property
    def is_unwritten(self) -> bool:
        """Whether all its valid pixels are black, or all of them white, as where nothing was written to the file."""
        first = self.pixels[self.valid][:1]
        return first.tolist() in ([[0] * 3], [[255] * 3]) and bool((self.pixels[self.valid] == first).all())

    def blank(self) -> TileImage:
        """The same tile without a valid pixel."""
        return replace(self, valid=np.zeros_like(self.valid), valid_pixels=0, owned_valid_pixels=0)


@dataclass(frozen=True)
class TileFailure:
    """A tile that could not be read."""

    tile: Tile
    """Which tile it is."""
    error: str
    """One line on the cause."""


TileResult = TileImage | TileFailure
