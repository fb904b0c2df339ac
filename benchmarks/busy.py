"""One image on a busy machine: what several cores that share it cost, as a ratio to one core.

    python -m benchmarks.busy --load 2 --rounds 5

Twice as many processes as cores compute without a pause. Each round loads the model and captions one image in a new
process, as `rsmoe_core.load` does it and with all cores of torch at each operation, one after the other. Prints the
medians and the ratios within a round as a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_MEASURED = """
import sys, time
import numpy, torch
from rsmoe_core import load
from rsmoe_core.inference import batching
if sys.argv[1] == "shared":
    torch.set_num_threads = lambda count: None
    batching.ThreadPool.map = lambda pool, compute, batch: compute(batch)
start = time.perf_counter()
loaded = load("nano", device="cpu")
ready = time.perf_counter()
loaded.caption([numpy.random.default_rng(0).integers(0, 255, (224, 224, 3), numpy.uint8)])
print(ready - start, time.perf_counter() - ready)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", type=float, default=2, help="busy processes for each core")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    with busy(round(arguments.load * cores)):
        rounds = [(measure("alone"), measure("shared")) for _ in range(arguments.rounds)]
    print("| | one core, s | all cores, s | ratio |\n|---|---|---|---|")
    for number, name in enumerate(("loading", "one image")):
        alone, shared = ([seconds[side][number] for seconds in rounds] for side in (0, 1))
        ratio = statistics.median(b / a for a, b in zip(alone, shared, strict=True))
        print(f"| {name} | {statistics.median(alone):.2f} | {statistics.median(shared):.2f} | {ratio:.1f} |")


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """So many processes that compute without a pause."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def measure(how: str) -> tuple[float, float]:
    """Seconds of loading and of one image, in a process of its own."""
    command = [sys.executable, "-c", _MEASURED, how]
    loading, captioning = map(float, subprocess.run(command, capture_output=True, check=True).stdout.split())
    return loading, captioning


if __name__ == "__main__":
    main()
