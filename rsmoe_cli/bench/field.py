"""scene → contest of the loops + what the machine and the model can do → report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from rsmoe_cli.bench import baselines
from rsmoe_cli.bench.compare import hold
from rsmoe_cli.bench.report import report
from rsmoe_cli.bench.run import OURS, OURS_IN_BF16
from rsmoe_cli.raster.scene import Scene, open_scene
from rsmoe_cli.reports import Report
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileImage
from rsmoe_cli.tiles.reader import read_tiles
from rsmoe_core.errors import UsageError
from rsmoe_core.types import Request

LOOPS = (*baselines.LOOPS, OURS_IN_BF16, OURS)
"""In the order in which they run; the last one is what the others are compared with."""
USUAL = ("one-by-one", "batches", OURS)
"""Those that run unless others are asked for."""
_SAMPLE = 16
"""Tiles of which the model's operations are counted."""


def bench_scene(
    path: str,
    model: str,
    tile_size: int,
    rounds: int,
    loops: Sequence[str] | None,
    folder: Path,
    tell: Callable[[str], None],
) -> Report:
    """Lets the loops (None: the usual three) caption a scene, each in a process of its own, with files in `folder`.

    Raises UsageError for a loop that is none, SceneError for a scene that cannot be read, RsmoeError if a loop fails.
    """
    chosen = [loop for loop in LOOPS if loop in (loops or USUAL)]
    if unknown := set(loops or ()) - set(LOOPS):
        raise UsageError(f"no loop '{min(unknown)}'; choose from: {', '.join(LOOPS)}")
    scene = open_scene(path)

    # After all refusals, as torch takes seconds to import.
    from rsmoe_cli.bench import machine

    contest = hold(chosen, path, model, tile_size, rounds, folder, machine.product_flops, tell)
    tile_flops = machine.flops_per_tile(model, _sample(scene, tile_size))
    return report(contest, path, machine.name(), tile_flops)


def _sample(scene: Scene, tile_size: int) -> list[Request]:
    """The first tiles that have something to show."""
    tiles = read_tiles(scene, Grid(scene.width, scene.height, tile_size), tile_size)
    seen = (tile for tile in tiles if isinstance(tile, TileImage) and tile.valid_pixels)
    return [Request(tile.pixels, tile.valid) for tile in islice(seen, _SAMPLE)]
