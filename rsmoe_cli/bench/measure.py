"""Measurements: one run of one loop over one scene, and what the machine and the model amount to.

Every run has a process of its own, so that its peak memory is that of the loop alone.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rsmoe_core.errors import RsmoeError
from rsmoe_core.types import Request

OURS = "rsmoe"
"""The loop of `rsmoe caption`, run by the command itself."""
VARIANTS: dict[str, tuple[str, ...]] = {
    "rsmoe-int8": ("--quantize", "int8"),
    "rsmoe-8bit": ("--quantize", "8bit", "--precision", "bf16"),
    "rsmoe-4bit": ("--quantize", "4bit", "--precision", "bf16"),
    "rsmoe-bf16": ("--precision", "bf16"),
    OURS: (),
}
"""The loops of `rsmoe caption`, and the options of each; a quantised one needs a base of transformers."""
_MATRIX_SIDE, _PRODUCTS = 2048, 8
"""Size of the matrices that are multiplied to measure the machine, and how often."""


@dataclass(frozen=True)
class Run:
    """What a loop reports about itself."""

    captions: int
    """Tiles that got a caption."""
    seconds: float
    """From the first read to the written file."""
    waited: float
    """Seconds of these in which the model had no tile to work on."""
    first: float
    """Seconds of these until the first caption was there."""
    tokens: float = 0.0
    """Tokens that were generated; 0 where the loop does not count them."""


@dataclass(frozen=True)
class Measurement:
    """A run, measured from outside."""

    run: Run
    wall: float
    """Seconds from the start of the process to its end."""
    peak: int
    """Peak memory in bytes (resident set size)."""

    @property
    def speed(self) -> float:
        """Captions per second, from the first read to the written file."""
        return self.run.captions / self.run.seconds

    @property
    def start(self) -> float:
        """Seconds beside that: to start the process, to load the model, to end."""
        return self.wall - self.run.seconds


def measure(loop: str, scene: str, out: Path, model: str, tile_size: int, options: Sequence[str] = ()) -> Measurement:
    """Run a loop: one of `baselines.LOOPS` or of `VARIANTS`; `options` of `rsmoe caption` are for the latter.

    Raises:
        RsmoeError: it fails.
    """
    arguments = [scene, "-o", str(out), "--model", model, "--tile-size", str(tile_size)]
    if loop in VARIANTS:
        program = [sys.executable, "-m", "rsmoe_cli.main", "caption"]
        command = [*program, *arguments, *VARIANTS[loop], *options, "--overwrite", "--json", "--quiet"]
    else:
        command = [sys.executable, "-m", "rsmoe_cli.bench.baselines", loop, *arguments]
    output, wall, peak = _run(command)
    figures = json.loads(output)
    if loop in VARIANTS:
        tokens = figures["generated_tokens_per_tile"] * figures["captioned"]
        run = Run(figures["captioned"], figures["seconds"], figures["waited_seconds"], figures["first_seconds"], tokens)
    else:
        run = Run(**figures)
    return Measurement(run, wall, peak)


def _run(command: Sequence[str]) -> tuple[str, float, int]:
    """What a command printed, how long it took, and its peak memory in bytes.

    On Linux the peak includes the memory of this process at the start of the command, so it is never less than that.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RsmoeError(f"'{' '.join(command)}' failed with exit code {process.returncode}; its messages are above")
    return output, time.perf_counter() - start, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def product_flops() -> float:
    """Floating-point operations a second of large matrix products, in float32 on all cores, for about a second."""
    import torch

    a, b = torch.ones(_MATRIX_SIDE, _MATRIX_SIDE), torch.ones(_MATRIX_SIDE, _MATRIX_SIDE)
    torch.mm(a, b)
    start = time.perf_counter()
    for _ in range(_PRODUCTS):
        torch.mm(a, b)
    return _PRODUCTS * 2 * _MATRIX_SIDE**3 / (time.perf_counter() - start)


def flops_per_tile(model: str, requests: Sequence[Request]) -> float:
    """Floating-point operations that a model's matrix products, convolutions and attention need for a tile."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from rsmoe_core.loading import load

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the counter sees only its own thread, so the engine must not use others
    try:
        engine = load(model, device="cpu")
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            engine.describe(requests)
    finally:
        torch.set_num_threads(threads)
    return counter.get_total_flops() / len(requests)


def machine_name() -> str:
    """Processor, cores that may be used, and the version of torch, in words."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores, torch {torch.__version__}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
