"""Whether a run loses or doubles a row when it is killed at any moment, and started again.

    python -m benchmarks.kills [--kills 100] [--seed 0]

Captions a small drawn scene with a tiny random model by the real command, and ends the process after random times,
spread over its whole life: by SIGKILL mostly, sometimes by SIGINT or SIGTERM. The same command is then given again,
until the map is there, in each of the formats in turn, and the map is compared with that of an unbroken run, row by
row. Prints figures as JSON; the exit code is 1 if one of the faults is not zero.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import geopandas as gpd

from rsmoe_cli.bench.drawing import big_scene
from rsmoe_cli.pipeline.journal import journal_path
from rsmoe_core.checkpoint.load import save_model
from tests.tiny import make_tiny

SUFFIXES = (".gpkg", ".geojson", ".fgb", ".parquet")
_SIGNALS = {signal.SIGKILL: 6, signal.SIGINT: 1, signal.SIGTERM: 1}
"""What ends a run, and how often compared with the others."""
_SIDE, _TILE = 384, 32
"""Pixels a side of the scene and of its tiles."""
FAULTS = ("half_files", "rows_lost", "rows_doubled", "rows_changed", "tracebacks")

Rows = list[tuple[object, ...]]
"""The rows of a map as plain values, in the order of their tiles."""


@dataclass
class Detection:
    """What became of all runs."""

    seconds: float
    """How long an unbroken one takes."""
    kills: Counter[str] = field(default_factory=Counter)
    """By the signal."""
    ends: Counter[str] = field(default_factory=Counter)
    """Exit codes of the runs that got SIGINT or SIGTERM."""
    moments: Counter[str] = field(default_factory=Counter)
    """What the kills left."""
    slowest_stop: float = 0.0
    """The longest time from SIGINT or SIGTERM to the end of the process, in seconds."""
    faults: Counter[str] = field(default_factory=Counter)
    maps: int = 0
    """Maps that were compared in the end."""


def main() -> int:
    """Kill, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", type=int, default=_SIDE, help="pixels a side of the scene")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = kills(Path(folder), arguments.kills, arguments.seed, arguments.side)
    print(json.dumps(figures, indent=1))
    return int(any(figures[fault] for fault in FAULTS))


def kills(
    folder: Path, wanted: int, seed: int, side: int = _SIDE, suffixes: Sequence[str] = SUFFIXES
) -> dict[str, object]:
    """Kills runs that many times, in each format in turn; figures by name."""
    generator = random.Random(seed)
    big_scene(folder / "scene.tif", side, seed)
    model = make_tiny(seed)
    model.config = replace(model.config, decoding=replace(model.config.decoding, beams=1))  # which starts much sooner
    save_model(model, folder / "model")
    started = time.monotonic()
    for suffix in suffixes:
        subprocess.run(_command(f"unbroken{suffix}"), cwd=folder, check=True, capture_output=True)
    found = Detection((time.monotonic() - started) / len(suffixes))
    whole = {suffix: _rows(folder / f"unbroken{suffix}") for suffix in suffixes}
    while found.kills.total() < wanted:
        suffix = suffixes[found.maps % len(suffixes)]
        out, unbroken = folder / f"{found.maps}{suffix}", whole[suffix]
        while _is_killed(out, found, generator, len(unbroken), wanted):
            if out.exists() and _rows(out) != unbroken:
                found.faults["half_files"] += 1
        compare(_rows(out), unbroken, found)
        found.faults["half_files"] += len([*folder.glob(".*"), *folder.glob("*.journal*")])
        out.unlink()
    return {
        "kills": found.kills.total(),
        "by_signal": dict(found.kills),
        "seed": seed,
        "rows": len(whole[suffixes[0]]),
        "maps": found.maps,
        "seconds_unbroken": round(found.seconds, 2),
        "left_by_kills": dict(found.moments),
        "exit_codes_when_asked_to_stop": dict(found.ends),
        "slowest_stop_seconds": round(found.slowest_stop, 2),
        **{fault: found.faults[fault] for fault in FAULTS},
    }


def _command(out: str) -> list[str]:
    options = ("--tile-size", str(_TILE), "--batch-size", "4", "--device", "cpu")
    return [sys.executable, "-m", "rsmoe_cli.main", "caption", "scene.tif", "-o", out, "--model", "model", *options]


def _is_killed(out: Path, found: Detection, generator: random.Random, rows: int, wanted: int) -> bool:
    """Whether the run was killed before it came to its end; it may come there when there were enough kills."""
    number = generator.choices(list(_SIGNALS), list(_SIGNALS.values()))[0]
    delay = generator.uniform(0, found.seconds) if found.kills.total() < wanted else None
    sent = math.inf
    with subprocess.Popen(_command(out.name), cwd=out.parent, stderr=subprocess.PIPE, text=True) as process:
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            sent = time.monotonic()
        _, said = process.communicate()
    stopped, code, moment = time.monotonic() - sent, process.returncode, _moment(out, rows)
    if code == 0:
        return False
    if moment != "nothing":  # before, the interpreter itself or an import may be what is interrupted
        found.faults["tracebacks"] += "Traceback" in said
        if code not in (-number, 130) or stopped < 0:
            raise RuntimeError(f"the command ended with {code}: {said}")
    found.kills[number.name] += 1
    found.moments[moment] += 1
    print(f"{found.kills.total()} of {wanted}: {number.name} left {moment}", file=sys.stderr)
    if number != signal.SIGKILL:
        found.ends[str(code)] += 1
        found.slowest_stop = max(found.slowest_stop, stopped)
    return moment != "the map"


def _moment(out: Path, rows: int) -> str:
    """What a killed run has left; looked at in a copy, since to look at a journal is to tidy it up."""
    journal = journal_path(out)
    if not journal.exists():
        return "the map" if out.exists() else "nothing"
    if out.exists():
        return "the map and its journal"
    with tempfile.TemporaryDirectory() as folder:
        for part in journal.parent.glob(f"{journal.name}*"):
            shutil.copy(part, folder)
        with closing(sqlite3.connect(Path(folder) / journal.name)) as base:
            try:
                [[tiles]] = base.execute("SELECT count(*) FROM tile WHERE columns IS NOT NULL")
            except sqlite3.OperationalError:  # killed while it was being made
                tiles = 0
    return f"a journal with {'no tile' if not tiles else 'some tiles' if tiles < rows else 'all tiles'}"


def _rows(path: Path) -> Rows:
    table = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    table = table.drop(columns="id", errors="ignore").to_wkt().sort_values("tile_id", kind="stable")
    return [tuple(None if value != value else value for value in row) for row in table.itertuples(index=False)]


def compare(rows: Rows, unbroken: Rows, found: Detection) -> None:
    """Counts the faults of a finished map; the first value of a row is the name of its tile."""
    found.maps += 1
    here, wanted = Counter(row[0] for row in rows), {row[0]: row for row in unbroken}
    found.faults["rows_lost"] += len(wanted.keys() - here.keys())
    found.faults["rows_doubled"] += here.total() - len(here)
    found.faults["rows_changed"] += sum(wanted.get(row[0]) != row for row in rows)


if __name__ == "__main__":
    sys.exit(main())
