"""What the parts of the model take of a tile's time, on one core.

    python -m benchmarks.parts [--model nano] [--tiles 32]

Describes tiles of a drawn scene with all parts timed, a few times, and takes the fastest; then looks again with torch's
profiler. Prints a Markdown table, and the operations that took most of the language model's time.
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
from rsmoe_core.engine import Engine, load
from rsmoe_core.inference.ablations import FULL_MODEL
from rsmoe_core.types import Request

_TILE, _REPEATS, _MOST_OPERATIONS = 224, 4, 4


def main() -> None:
    """Time, look and print."""
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
    """Seconds of each part in the fastest of a few runs."""
    runs = []
    for _ in range(_REPEATS):
        spent: dict[str, float] = defaultdict(float)
        with timed(engine, spent):
            began = time.perf_counter()
            engine.describe(requests, batch_size=len(requests))
            spent["all"] = time.perf_counter() - began
        runs.append(spent)
    return min(runs, key=lambda spent: spent["all"])


@contextmanager
def timed(engine: Engine, spent: dict[str, float]) -> Iterator[None]:
    """Adds up the seconds in each part while the block runs."""
    model: Any = engine._model
    decoders = {role: model.language.decoders[role] for role in model.roles}
    parts = {"image encoder": (model.vision, "forward"), "Q-Former": (model, "encode")}
    parts |= {role: (decoder, "write") for role, decoder in decoders.items()}

    def watching(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*inputs: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return compute(*inputs, **named)
            finally:
                spent[name] += time.perf_counter() - began

        return watched

    for name, (owner, method) in parts.items():
        setattr(owner, method, watching(name, getattr(owner, method)))
    try:
        yield
    finally:
        for owner, method in parts.values():
            delattr(owner, method)


@torch.inference_mode()
def operations(engine: Engine, requests: list[Request]) -> list[tuple[str, float]]:
    """The operations that take most of the language model's time, and their shares of it."""
    tokens_BQH = engine._look(requests)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        engine._describe_tokens(tokens_BQH, [FULL_MODEL])
    own = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    most = sorted(own, key=lambda name: -own[name])[:_MOST_OPERATIONS]
    return [(name, own[name] / sum(own.values())) for name in most]


if __name__ == "__main__":
    main()
