from __future__ import annotations

import numpy as np

from rsmoe_cli.pipeline.run import batches
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileFailure, TileImage, TileResult


def test_batches_hold_a_bounded_number_of_tiles_and_lose_none() -> None:
    tiles = list(Grid(100, 1, 1))
    nothing = np.zeros((1, 1), bool)

    def result(index: int) -> TileResult:
        if index % 7 == 0:
            return TileFailure(tiles[index], "broken")
        return TileImage(tiles[index], np.zeros((1, 1, 3), np.uint8), nothing, index % 2 if index < 50 else 0, 0)

    groups = list(batches((result(index) for index in range(100)), lambda: 4))
    assert [item.tile for group in groups for item in group] == tiles
    assert max(len(group) for group in groups) <= 16
    visible = [sum(isinstance(item, TileImage) and item.valid_pixels > 0 for item in group) for group in groups]
    assert max(visible) == 4
