"""Whether memory or open files grow over a long run.

    python -m benchmarks.soak [--tiles 20000] [--scenes 300]

Three runs, each with a stand-in for the engine that captions images by their mean colour: one large scene, hundreds of
small scenes in one run, and a large scene with a slow engine, for which all earlier steps have to wait. Prints figures
as JSON; the exit code is 1 if memory or open files grew, or if a tile was lost.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from rsmoe_cli.bench.drawing import big_scene
from rsmoe_cli.captioning.layer import DESCRIPTIONS
from rsmoe_cli.captioning.run import CaptionJob, caption_scenes
from rsmoe_cli.option_groups import TilingOptions
from rsmoe_cli.pipeline.session import open_session
from rsmoe_core.backends.base import Usage
from rsmoe_core.config import CaptionOptions
from rsmoe_core.types import Answer, Description, Request

_TILE = 32
"""Side of the tiles, in pixels."""
_MAX_GROWTH = 24.0
"""Megabytes by which the peak of a run's second half may exceed that of its first half, without the first tenth."""


class MeanColours:
    """Stands in for an engine, and measures the process before each batch."""

    name, revision, device, dtype, image_size = "mean colours", "1", "cpu", "uint8", _TILE
    experts: tuple[str, ...] = ()
    options, usage, checks_replies, has_detectors = CaptionOptions(), Usage(), False, False

    def __init__(self, batch_size: int = 16, seconds: float = 0.0) -> None:
        """`seconds` is the time that it takes for a batch."""
        self.batch_size, self._seconds = batch_size, seconds
        self._process = psutil.Process()
        self.memory: list[float] = []
        self.files: list[int] = []

    def describe(self, requests: Sequence[Request]) -> list[Description]:
        """A description of each image, in order."""
        time.sleep(self._seconds)
        self.memory.append(self._process.memory_info().rss / 1e6)
        self.files.append(self._process.num_fds())
        return [_describe(request) for request in requests]

    def answer(self, requests: Sequence[Request]) -> list[tuple[Answer, ...]]:
        """It answers nothing."""
        raise NotImplementedError


def main() -> int:
    """Run, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, default=20_000, help="least number of tiles of the large scene")
    parser.add_argument("--scenes", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = soak(Path(folder), arguments.tiles, arguments.scenes)
    print(json.dumps(figures, indent=1))
    return int(not all(run["steady"] for run in figures.values()))


def soak(folder: Path, tiles: int, scenes: int) -> dict[str, dict[str, object]]:
    """The figures of each run."""
    large = big_scene(folder / "large.tif", _TILE * math.ceil(math.sqrt(tiles)))
    slow = big_scene(folder / "slow.tif", _TILE * math.ceil(math.sqrt(tiles / 4)))
    small = Path(big_scene(folder / "small.tif", 4 * _TILE))
    many = [folder / f"small{number:04}.tif" for number in range(scenes)]
    for path in many:
        path.symlink_to(small)
    return {
        "one large scene": run([large], folder / "large.gpkg", MeanColours()),
        "many scenes": run(list(map(str, many)), folder / "many.gpkg", MeanColours(batch_size=4)),
        "a slow engine": run([slow], folder / "slow.gpkg", MeanColours(seconds=0.05)),
    }


def run(scenes: Sequence[str], out: Path, engine: MeanColours) -> dict[str, object]:
    """The figures of one run."""
    gc.collect()
    job = CaptionJob(scenes, TilingOptions(None, "auto", str(_TILE), 0))
    with open_session(job, lambda: engine, DESCRIPTIONS, out) as session:
        summary = caption_scenes(session, job)
        session.finish("the column 'error' of their rows says why")
    warm, half = len(engine.memory) // 10, len(engine.memory) // 2
    growth = max(engine.memory[half:]) - max(engine.memory[warm:half])
    more_files = max(engine.files[half:]) - max(engine.files[warm:half])
    complete = summary.captioned + summary.skipped == summary.tiles
    return {
        "scenes": len(scenes),
        "tiles": summary.tiles,
        "captioned": summary.captioned,
        "batches": len(engine.memory),
        "seconds": round(summary.seconds, 1),
        "memory_mb": [round(engine.memory[at]) for at in (0, warm, half, -1)],
        "peak_memory_mb": round(max(engine.memory)),
        "memory_growth_mb": round(growth, 1),
        "open_files": [engine.files[at] for at in (0, warm, half, -1)],
        "open_files_growth": more_files,
        "steady": complete and growth <= _MAX_GROWTH and more_files <= 0,
    }


def _describe(request: Request) -> Description:
    red, green, blue = request.image.mean(axis=(0, 1))
    return Description(f"mean colour {red:.0f} {green:.0f} {blue:.0f}", confidence=1.0)


if __name__ == "__main__":
    sys.exit(main())
