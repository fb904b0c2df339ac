"""Captions on a GPU compared with captions on the CPU: how many a second, and whether they are the same.

    python -m benchmarks.gpu RSICD --split test --device cuda

The same images and weights, in batches whose size each device adapts in the first round, which does not count; the
best of three more is taken. Same: the share of captions that are word for word those of the CPU in float32. Prints a
Markdown table.
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
from rsmoe_core.loading import load

_ROUNDS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--images", type=int, help="only this many images of the split, the first ones")
    parser.add_argument("--device", default="cuda", help="the device to compare with the CPU")
    parser.add_argument("--model", default="nano")
    arguments = parser.parse_args()
    samples = read_dataset(arguments.folder).captioned(arguments.split)[: arguments.images]
    images = [read_image(sample.image) for sample in samples]
    print(f"{len(images)} images\n\n| device | precision | captions a second | same |\n|---|---|---|---|")
    reference: list[str] | None = None
    for device, precision in (("cpu", "fp32"), (arguments.device, "fp32"), (arguments.device, "bf16")):
        rate, captions = measure(images, arguments.model, device, precision)
        reference = reference or captions
        same = np.mean([caption == expected for caption, expected in zip(captions, reference, strict=True)])
        print(f"| {device} | {precision} | {rate:.1f} | {same:.3f} |", flush=True)


def measure(images: Sequence[NDArray[np.uint8]], model: str, device: str, precision: str) -> tuple[float, list[str]]:
    """Captions a second in the best round, and the captions."""
    engine = load(model, device=device, precision=precision)
    captions = [description.caption for description in engine.caption(images)]
    seconds = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        engine.caption(images)
        seconds.append(time.perf_counter() - start)
    return len(images) / min(seconds), captions


if __name__ == "__main__":
    main()
