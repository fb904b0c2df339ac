"""One run of one loop over one scene, each in a process of its own, so that memory is that of the loop alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rsmoe_core.errors import RsmoeError

OURS = "rsmoe"
"""The loop of `rsmoe caption`, which runs as people run it."""
OURS_IN_BF16 = "rsmoe-bf16"
"""The same with `--precision bf16`."""


@dataclass(frozen=True)
class Run:
    """What a loop tells of itself."""

    described: int
    """Tiles that got a caption."""
    seconds: float
    """From the first read to the written file."""
    waited: float
    """Seconds of these in which the model had no tile to work at."""
    first: float
    """Seconds of these until the first caption was there."""


@dataclass(frozen=True)
class Measured:
    """A run, seen from outside."""

    run: Run
    wall: float
    """Seconds from the start of the process to its end."""
    peak: int
    """The most memory that it held at a time, in bytes (resident set size)."""

    @property
    def speed(self) -> float:
        """Captions per second, from the first read to the written file."""
        return self.run.described / self.run.seconds

    @property
    def start(self) -> float:
        """Seconds that the process took beside that: to start, to load the model, to end."""
        return self.wall - self.run.seconds


def measure(loop: str, scene: str, out: Path, model: str, tile_size: int) -> Measured:
    """Runs a loop: one of `others.LOOPS`, or one of ours. Raises RsmoeError if it fails."""
    settings = [scene, "-o", str(out), "--model", model, "--tile-size", str(tile_size)]
    ours = {OURS: "fp32", OURS_IN_BF16: "bf16"}.get(loop)
    if ours:
        program = [sys.executable, "-m", "rsmoe_cli.main", "caption"]
        command = [*program, *settings, "--precision", ours, "--overwrite", "--json", "--quiet"]
    else:
        command = [sys.executable, "-m", "rsmoe_cli.bench.baselines", loop, *settings]
    told, wall, peak = _watched(command)
    found = json.loads(told)
    if ours:
        run = Run(found["captioned"], found["seconds"], found["waited_seconds"], found["first_seconds"])
    else:
        run = Run(**found)
    return Measured(run, wall, peak)


def _watched(command: Sequence[str]) -> tuple[str, float, int]:
    """What a command printed, how long it took, and its peak memory in bytes.

    Linux counts what this process had when it started the command too, so no peak is less than that.
    """
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        told = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RsmoeError(f"'{' '.join(command)}' failed with exit code {process.returncode}; its messages stand above")
    return told, time.perf_counter() - began, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
