"""The time of each part of the model for a tile, on one core.

    python -m benchmarks.parts [--model nano] [--tiles 32]

Describes tiles of a drawn scene a few times with all parts timed, and takes the fastest; then runs torch's profiler.
Prints a Markdown table, and the operations that took most of the language model's time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from rsmoe_cli.bench.baselines import whole_scene
from rsmoe_cli.bench.drawing import big_scene
from rsmoe_cli.raster.scene import open_scene
from rsmoe_core.backends.native import NativeBackend
from rsmoe_core.engine import Engine
from rsmoe_core.inference.ablations import FULL_MODEL
from rsmoe_core.inference.captions import describe
from rsmoe_core.loading import load
from rsmoe_core.roles import all_roles
from rsmoe_core.types import Request

_TILE, _REPEATS, _MAX_OPERATIONS = 224, 4, 4


def main() -> None:
    """Time, profile and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--tiles", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    engine = load(arguments.model, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        side = _TILE * (2 + int((2 * arguments.tiles) ** 0.5))
        tiles = whole_scene(open_scene(big_scene(Path(folder) / "drawn.tif", side)), _TILE)
        requests = [Request(tile.pixels, tile.valid) for tile in islice(tiles, arguments.tiles)]
    print("| part | ms a tile |\n|---|---|")
    for part, seconds in fastest(engine, requests).items():
        print(f"| {part} | {1000 * seconds / len(requests):.1f} |")
    for name, share in operations(engine, requests):
        print(f"{name}: {share:.0%} of the language model's time")


def fastest(engine: Engine, requests: list[Request]) -> dict[str, float]:
    """Part → its seconds in the fastest of a few runs."""
    runs = []
    for _ in range(_REPEATS):
        seconds: dict[str, float] = defaultdict(float)
        with timed(engine, seconds):
            start = time.perf_counter()
            engine.describe(requests, batch_size=len(requests))
            seconds["all"] = time.perf_counter() - start
        runs.append(seconds)
    return min(runs, key=lambda seconds: seconds["all"])


@contextmanager
def timed(engine: Engine, seconds: dict[str, float]) -> Iterator[None]:
    """Add up the seconds of each part while the block runs."""
    backend = engine.backend
    assert isinstance(backend, NativeBackend), "only the parts of a native model are known"
    parts: dict[str, tuple[Any, str]] = {
        "image encoder": (backend.model.vision, "forward"),
        "Q-Former": (backend.model, "encode"),
        **{role: (backend.decoders.decoders[role], "generate") for role in all_roles(engine.experts)},
    }

    def timed_method(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
        def method(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            try:
                return compute(*arguments, **named)
            finally:
                seconds[name] += time.perf_counter() - start

        return method

    for name, (owner, method) in parts.items():
        setattr(owner, method, timed_method(name, getattr(owner, method)))
    try:
        yield
    finally:
        for owner, method in parts.values():
            delattr(owner, method)


@torch.inference_mode()
def operations(engine: Engine, requests: list[Request]) -> list[tuple[str, float]]:
    """The operations that take most of the language model's time, and their shares of it."""
    encoded = engine.backend.encode(requests)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        describe(engine.backend, encoded, range(len(requests)), engine.experts, engine.limits, [FULL_MODEL])
    seconds = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    slowest = sorted(seconds, key=lambda name: -seconds[name])[:_MAX_OPERATIONS]
    return [(name, seconds[name] / sum(seconds.values())) for name in slowest]


if __name__ == "__main__":
    main()
