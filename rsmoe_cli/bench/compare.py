"""Scene → runs of all loops, round by round → report: each loop's speed, memory and latency.

The loops run one after the other within each round, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from statistics import median
from typing import Any

from rsmoe_cli.bench import baselines
from rsmoe_cli.bench.measure import (
    OURS,
    VARIANTS,
    Measurement,
    flops_per_tile,
    machine_name,
    measure,
    product_flops,
)
from rsmoe_cli.raster.scene import Scene, open_scene
from rsmoe_cli.reports import Report, Table
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileImage
from rsmoe_cli.tiles.reader import read_tiles
from rsmoe_core.errors import UsageError
from rsmoe_core.loading import is_native
from rsmoe_core.types import Request

LOOPS = (*baselines.LOOPS, *VARIANTS)
"""In the order in which they run; the others are compared with the last one."""
DEFAULT_LOOPS = ("one-by-one", "batches", OURS)
_SAMPLE = 16
"""Tiles over which the model's operations are counted."""
_COLUMNS = ("loop", "captions/s", "waiting for tiles", "peak RSS, MB", "start, s", "first caption, s")


@dataclass(frozen=True)
class Comparison:
    """What the loops did with one scene."""

    rounds: tuple[dict[str, Measurement], ...]
    """Each round's run of each loop."""
    captions: dict[str, dict[str, str]]
    """Loop → tile id → caption."""
    product_flops: tuple[float, ...]
    """Floating-point operations a second of large matrix products, before each round and after the last."""

    def median_of(self, loop: str, figure: Callable[[Measurement], float]) -> float:
        """The median of a figure of a loop over the rounds."""
        return median(figure(runs[loop]) for runs in self.rounds)

    def ratios(self, loop: str, other: str) -> list[float]:
        """How many times as fast as another loop this one was, in each round."""
        return [runs[loop].speed / runs[other].speed for runs in self.rounds]

    def efficiencies(self, loop: str, tile_flops: float) -> list[float]:
        """The share of the machine's speed around each round that a loop used, if a tile needs `tile_flops`."""
        around = [(before + after) / 2 for before, after in pairwise(self.product_flops)]
        return [tile_flops * runs[loop].speed / flops for runs, flops in zip(self.rounds, around, strict=True)]

    def equal_share(self, loop: str, other: str) -> float:
        """Share of the tiles with the same caption by both loops, 0-1; a tile that one of them lacks differs."""
        first, second = self.captions[loop], self.captions[other]
        tiles = first.keys() | second.keys()
        return sum(first.get(tile) == second.get(tile) for tile in tiles) / len(tiles)


def bench_scene(
    path: str,
    model: str,
    tile_size: int,
    rounds: int,
    loops: Sequence[str] | None,
    folder: Path,
    notify: Callable[[str], None],
    options: Sequence[str] = (),
) -> Report:
    """Caption a scene by each of the loops (None: `DEFAULT_LOOPS`), with files in `folder`.

    `options` of `rsmoe caption` are for its own loops. For a base of transformers these are all that there are.

    Raises:
        UsageError: there is no such loop, or not for this model.
        SceneError: the scene cannot be read.
        RsmoeError: a loop fails.
    """
    if unknown := set(loops or ()) - set(LOOPS):
        raise UsageError(f"no loop '{min(unknown)}'; choose from: {', '.join(LOOPS)}")
    native = is_native(model)
    if not native and (baseline := set(loops or ()) & set(baselines.LOOPS)):
        raise UsageError(f"the loop '{min(baseline)}' is for native models; choose from: {', '.join(VARIANTS)}")
    chosen = [loop for loop in LOOPS if loop in (loops or (DEFAULT_LOOPS if native else (OURS,)))]
    scene = open_scene(path)
    comparison = compare_loops(chosen, path, model, tile_size, rounds, folder, notify, options)
    tile_flops = flops_per_tile(model, _sample(scene, tile_size)) if native else None
    return comparison_report(comparison, path, machine_name(), tile_flops)


def compare_loops(
    loops: Sequence[str],
    scene: str,
    model: str,
    tile_size: int,
    rounds: int,
    folder: Path,
    notify: Callable[[str], None],
    options: Sequence[str] = (),
) -> Comparison:
    """Run every loop `rounds` times over a scene; `notify` gets a line after each run, outputs go to `folder`.

    Raises:
        RsmoeError: a loop fails.
    """
    measured: list[dict[str, Measurement]] = []
    flops = [product_flops()]
    for number in range(rounds):
        measured.append({})
        for loop in loops:
            result = measure(loop, scene, _output(folder, loop), model, tile_size, options)
            notify(f"round {number + 1} of {rounds}, {loop}: {result.speed:.2f} captions/s")
            measured[-1][loop] = result
        flops.append(product_flops())
    captions = {loop: _read_captions(_output(folder, loop)) for loop in loops}
    return Comparison(tuple(measured), captions, tuple(flops))


def comparison_report(comparison: Comparison, scene: str, machine: str, tile_flops: float | None) -> Report:
    """The figures of a comparison with a model that needs `tile_flops` operations for a tile; None where unknown."""
    loops = {loop: _figures(comparison, loop) for loop in comparison.rounds[0]}
    last = list(loops)[-1]
    rows = [(loop, *_cells(figures), f"{comparison.equal_share(loop, last):.1%}") for loop, figures in loops.items()]
    ratios = [
        f"{last} is {_spread(values, 1)} times as fast as {other}"
        for other, values in loops[last]["times_as_fast_as"].items()
    ]
    efficiencies = comparison.efficiencies(OURS, tile_flops) if OURS in loops and tile_flops else []
    tokens = [f"{loop} {own['tokens_per_second']:.1f}" for loop, own in loops.items() if own["tokens_per_second"]]
    product_gflops = _spread([flops / 1e9 for flops in comparison.product_flops], 0)
    facts = [
        *ratios,
        f"medians of {len(comparison.rounds)} rounds over {scene}, {loops[last]['captions']} captions each",
        f"{machine}; large float32 matrix products: {product_gflops} GFLOP/s",
        *([f"tokens written in a second: {', '.join(tokens)}"] if tokens else []),
        *([f"the model needs {tile_flops / 1e9:.2f} GFLOP a tile"] if tile_flops else []),
        *([f"efficiency of {OURS}: {_spread(efficiencies, 2)} of those products' speed"] if efficiencies else []),
    ]
    figures = {
        "machine": machine,
        "scene": scene,
        "rounds": len(comparison.rounds),
        "product_flops": comparison.product_flops,
        "tile_flops": tile_flops,
        "efficiencies": efficiencies,
        "loops": loops,
    }
    columns = (*_COLUMNS, f"same as {last}")
    return Report("How fast scenes are captioned", figures, (Table("Loops", columns, tuple(rows)),), tuple(facts))


def _sample(scene: Scene, tile_size: int) -> list[Request]:
    """The first tiles that are not blank."""
    tiles = read_tiles(scene, Grid(scene.width, scene.height, tile_size), tile_size)
    visible = (tile for tile in tiles if isinstance(tile, TileImage) and tile.valid_pixels)
    return [Request(tile.pixels, tile.valid) for tile in islice(visible, _SAMPLE)]


def _output(folder: Path, loop: str) -> Path:
    return folder / f"{loop}.gpkg"


def _read_captions(path: Path) -> dict[str, str]:
    import pyogrio

    frame = pyogrio.read_dataframe(path, read_geometry=False, columns=["tile_id", "caption"])
    return dict(zip(frame["tile_id"], frame["caption"], strict=True))


def _figures(comparison: Comparison, loop: str) -> dict[str, Any]:
    loops = list(comparison.rounds[0])
    return {
        "captions": comparison.rounds[0][loop].run.captions,
        "captions_per_second": comparison.median_of(loop, lambda m: m.speed),
        "tokens_per_second": comparison.median_of(loop, lambda m: m.run.tokens / m.run.seconds),
        "waiting_share": comparison.median_of(loop, lambda m: m.run.waited / m.run.seconds),
        "peak_bytes": comparison.median_of(loop, lambda m: m.peak),
        "start_seconds": comparison.median_of(loop, lambda m: m.start),
        "first_seconds": comparison.median_of(loop, lambda m: m.start + m.run.first),
        "times_as_fast_as": {other: comparison.ratios(loop, other) for other in loops[: loops.index(loop)]},
    }


def _cells(figures: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{figures['captions_per_second']:.2f}",
        f"{figures['waiting_share']:.1%}",
        f"{figures['peak_bytes'] / 1e6:.0f}",
        f"{figures['start_seconds']:.1f}",
        f"{figures['first_seconds']:.1f}",
    )


def _spread(values: Sequence[float], digits: int) -> str:
    """Median, and the least and the most in brackets."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
