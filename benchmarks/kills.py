"""Whether a run loses or duplicates a row when it is killed at any moment and started again.

    python -m benchmarks.kills [--kills 100] [--seed 0]

Captions a small drawn scene with a tiny random model by the real command, and ends the process after random times,
spread over its run time: by SIGKILL mostly, sometimes by SIGINT or SIGTERM. The same command is then given again
until the output exists, in each of the formats in turn, and the output is compared with that of an uninterrupted run,
row by row. Prints figures as JSON; the exit code is 1 if one of the faults is not zero.
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
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd

from rsmoe_cli.bench.drawing import big_scene
from rsmoe_cli.formats.registry import OUTPUT_FORMATS
from rsmoe_cli.pipeline.journal import journal_path
from rsmoe_core.checkpoint.load import save_model
from tests.tiny import make_tiny

_SIGNALS = {signal.SIGKILL: 6, signal.SIGINT: 1, signal.SIGTERM: 1}
"""Signal → how often it is sent, compared with the others."""
_SIDE, _TILE = 384, 32
"""Side of the scene and of its tiles, in pixels."""
FAULTS = ("half_files", "rows_lost", "rows_doubled", "rows_changed", "tracebacks")

Rows = list[tuple[object, ...]]
"""The rows of an output as plain values, in the order of their tiles."""


@dataclass
class Outcomes:
    """The results of all runs."""

    seconds: float
    """Duration of an uninterrupted run."""
    kills: Counter[str] = field(default_factory=Counter)
    """By signal."""
    exits: Counter[str] = field(default_factory=Counter)
    """Exit codes of the runs that got SIGINT or SIGTERM."""
    states: Counter[str] = field(default_factory=Counter)
    """What the killed runs left behind."""
    slowest_stop: float = 0.0
    """The longest time from SIGINT or SIGTERM to the end of the process, in seconds."""
    faults: Counter[str] = field(default_factory=Counter)
    outputs: int = 0
    """Finished outputs, which were compared."""


def main() -> int:
    """Kill, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", type=int, default=_SIDE, help="side of the scene, in pixels")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = kills(Path(folder), arguments.kills, arguments.seed, arguments.side)
    print(json.dumps(figures, indent=1))
    return int(any(figures[fault] for fault in FAULTS))


def kills(
    folder: Path, wanted: int, seed: int, side: int = _SIDE, suffixes: Sequence[str] = tuple(OUTPUT_FORMATS)
) -> dict[str, object]:
    """Kill runs `wanted` times, in each format in turn; returns figures by name."""
    generator = random.Random(seed)
    big_scene(folder / "scene.tif", side, seed)
    save_model(make_tiny(seed), folder / "model")
    start = time.monotonic()
    for suffix in suffixes:
        subprocess.run(_command(f"uninterrupted{suffix}"), cwd=folder, check=True, capture_output=True)
    outcomes = Outcomes((time.monotonic() - start) / len(suffixes))
    uninterrupted = {suffix: _rows(folder / f"uninterrupted{suffix}") for suffix in suffixes}
    while outcomes.kills.total() < wanted:
        suffix = suffixes[outcomes.outputs % len(suffixes)]
        out, expected = folder / f"{outcomes.outputs}{suffix}", uninterrupted[suffix]
        while _is_killed(out, outcomes, generator, len(expected), wanted):
            if out.exists() and _rows(out) != expected:
                outcomes.faults["half_files"] += 1
        compare(_rows(out), expected, outcomes)
        outcomes.faults["half_files"] += len([*folder.glob(".*"), *folder.glob("*.journal*")])
        out.unlink()
    return {
        "kills": outcomes.kills.total(),
        "by_signal": dict(outcomes.kills),
        "seed": seed,
        "rows": len(uninterrupted[suffixes[0]]),
        "outputs": outcomes.outputs,
        "seconds_uninterrupted": round(outcomes.seconds, 2),
        "left_by_kills": dict(outcomes.states),
        "exit_codes_after_sigint_or_sigterm": dict(outcomes.exits),
        "slowest_stop_seconds": round(outcomes.slowest_stop, 2),
        **{fault: outcomes.faults[fault] for fault in FAULTS},
    }


def _command(out: str) -> list[str]:
    options = ("--tile-size", str(_TILE), "--batch-size", "4", "--device", "cpu")
    return [sys.executable, "-m", "rsmoe_cli.main", "caption", "scene.tif", "-o", out, "--model", "model", *options]


def _is_killed(out: Path, outcomes: Outcomes, generator: random.Random, rows: int, wanted: int) -> bool:
    """Start a run and kill it, unless there were enough kills; False if it finished before."""
    number = generator.choices(list(_SIGNALS), list(_SIGNALS.values()))[0]
    delay = generator.uniform(0, outcomes.seconds) if outcomes.kills.total() < wanted else None
    sent = math.inf
    with subprocess.Popen(_command(out.name), cwd=out.parent, stderr=subprocess.PIPE, text=True) as process:
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
            sent = time.monotonic()
        _, stderr = process.communicate()
    seconds, code, state = time.monotonic() - sent, process.returncode, _state(out, rows)
    if code == 0:
        return False
    if state != "nothing":  # earlier, the signal may interrupt the start of the interpreter or an import
        outcomes.faults["tracebacks"] += "Traceback" in stderr
        if code not in (-number, 130) or seconds < 0:
            raise RuntimeError(f"the command ended with {code}: {stderr}")
    outcomes.kills[number.name] += 1
    outcomes.states[state] += 1
    print(f"{outcomes.kills.total()} of {wanted}: {number.name} left {state}", file=sys.stderr)
    if number != signal.SIGKILL:
        outcomes.exits[str(code)] += 1
        outcomes.slowest_stop = max(outcomes.slowest_stop, seconds)
    return state != "the output"


def _state(out: Path, rows: int) -> str:
    """What a killed run has left. Reads a copy of the journal, since opening the original would recover it."""
    journal = journal_path(out)
    if not journal.exists():
        return "the output" if out.exists() else "nothing"
    if out.exists():
        return "the output and its journal"
    with tempfile.TemporaryDirectory() as folder:
        for part in journal.parent.glob(f"{journal.name}*"):
            shutil.copy(part, folder)
        with closing(sqlite3.connect(Path(folder) / journal.name)) as database:
            try:
                [[tiles]] = database.execute("SELECT count(*) FROM tile WHERE outcomes IS NOT NULL")
            except sqlite3.OperationalError:  # killed while the tables were created
                tiles = 0
    return f"a journal with {'no tile' if not tiles else 'some tiles' if tiles < rows else 'all tiles'}"


def _rows(path: Path) -> Rows:
    table = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    table = table.to_wkt().sort_values("id", kind="stable")
    table = table[["id", *(name for name in table.columns if name != "id")]]
    return [tuple(None if value != value else value for value in row) for row in table.itertuples(index=False)]


def compare(rows: Rows, expected: Rows, outcomes: Outcomes) -> None:
    """Count the faults of a finished output; the first value of a row is its id."""
    outcomes.outputs += 1
    counts, wanted = Counter(row[0] for row in rows), {row[0]: row for row in expected}
    outcomes.faults["rows_lost"] += len(wanted.keys() - counts.keys())
    outcomes.faults["rows_doubled"] += counts.total() - len(counts)
    outcomes.faults["rows_changed"] += sum(wanted.get(row[0]) != row for row in rows)


if __name__ == "__main__":
    sys.exit(main())
