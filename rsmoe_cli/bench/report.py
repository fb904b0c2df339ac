"""Measurements → a report: for each loop its speed, its memory, and how long it lets people wait."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from rsmoe_cli.bench.compare import Contest
from rsmoe_cli.bench.run import OURS
from rsmoe_cli.reports import Report, Table

_COLUMNS = ("loop", "captions/s", "waiting for tiles", "peak RSS, MB", "start, s", "first caption, s")


def report(contest: Contest, scene: str, machine: str, tile_flops: float) -> Report:
    """The figures of a contest with a model that needs `tile_flops` floating-point operations for a tile."""
    loops = {loop: _figures(contest, loop) for loop in contest.rounds[0]}
    last = list(loops)[-1]
    rows = [(loop, *_cells(figures), f"{contest.alike(loop, last):.1%}") for loop, figures in loops.items()]
    ratios = [
        f"{last} is {_spread(values, 1)} times as fast as {other}"
        for other, values in loops[last]["times_as_fast_as"].items()
    ]
    efficiencies = contest.efficiencies(OURS, tile_flops) if OURS in loops else []
    facts = [
        *ratios,
        f"medians of {len(contest.rounds)} rounds over {scene}, {loops[last]['captions']} captions each",
        f"{machine}; large float32 matrix products: {_spread([f / 1e9 for f in contest.product_flops], 0)} GFLOP/s",
        f"the model needs {tile_flops / 1e9:.2f} GFLOP a tile",
        *([f"efficiency of {OURS}: {_spread(efficiencies, 2)} of those products' speed"] if efficiencies else []),
    ]
    figures = {
        "machine": machine,
        "scene": scene,
        "rounds": len(contest.rounds),
        "product_flops": contest.product_flops,
        "tile_flops": tile_flops,
        "efficiencies": efficiencies,
        "loops": loops,
    }
    columns = (*_COLUMNS, f"same as {last}")
    return Report("How fast scenes are captioned", figures, (Table("Loops", columns, tuple(rows)),), tuple(facts))


def _figures(contest: Contest, loop: str) -> dict[str, Any]:
    earlier = list(contest.rounds[0])[: list(contest.rounds[0]).index(loop)]
    return {
        "captions": contest.rounds[0][loop].run.described,
        "captions_per_second": contest.median_of(loop, lambda run: run.speed),
        "waiting_share": contest.median_of(loop, lambda run: run.run.waited / run.run.seconds),
        "peak_bytes": contest.median_of(loop, lambda run: run.peak),
        "start_seconds": contest.median_of(loop, lambda run: run.start),
        "first_seconds": contest.median_of(loop, lambda run: run.start + run.run.first),
        "times_as_fast_as": {other: contest.ratios(loop, other) for other in earlier},
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
    """Median, least and most."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
