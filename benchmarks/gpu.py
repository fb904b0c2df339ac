"""Captions on a GPU against captions on the processor: how many a second, and whether they are the same.

    python -m benchmarks.gpu RSICD --split test --device cuda

The same pictures and weights, in batches that each device finds for itself in the first round, which does not count;
the best of three more is taken. Same: the share of captions that are word for word those of the processor in float32.
Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.base import read_image
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.engine import load

_ROUNDS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--pictures", type=int, help="the first so many of the split; all by default")
    parser.add_argument("--device", default="cuda", help="what stands beside the processor")
    parser.add_argument("--model", default="nano")
    arguments = parser.parse_args()
    samples = read_dataset(arguments.folder).captioned(arguments.split)[: arguments.pictures]
    pictures = [read_image(sample.image) for sample in samples]
    print(f"{len(pictures)} pictures\n\n| device | precision | captions a second | same |\n|---|---|---|---|")
    truth: list[str] | None = None
    for device, precision in (("cpu", "fp32"), (arguments.device, "fp32"), (arguments.device, "bf16")):
        rate, said = measured(pictures, arguments.model, device, precision)
        truth = truth or said
        same = np.mean([own == theirs for own, theirs in zip(said, truth, strict=True)])
        print(f"| {device} | {precision} | {rate:.1f} | {same:.3f} |", flush=True)


def measured(pictures: Sequence[NDArray[np.uint8]], model: str, device: str, precision: str) -> tuple[float, list[str]]:
    """Captions a second in the best round, and the captions."""
    engine = load(model, device=device, precision=precision)
    said = [one.caption for one in engine.caption(pictures)]
    seconds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        engine.caption(pictures)
        seconds.append(time.perf_counter() - began)
    return len(pictures) / min(seconds), said


if __name__ == "__main__":
    main()
