"""Many small scenes, beside a single scene with the same tiles: what it costs that tiles come in many files.

    python -m benchmarks.small_scenes --load 0 2 --rounds 5

Each round captions 18 tiles three times, one after the other: as one scene, as 18 scenes that share batches, and as 18
scenes with a batch each; on the machine as it is, and while processes compute without a pause. The model is loaded
before. Prints medians, and the ratios within a round, as a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

import rasterio
from rasterio.windows import Window

import rsmoe_core
from benchmarks.busy import busy
from rsmoe_cli.bench.drawing import big_scene
from rsmoe_cli.captioning.layer import DESCRIPTIONS
from rsmoe_cli.captioning.run import CaptionJob, caption_scenes
from rsmoe_cli.option_groups import TilingOptions
from rsmoe_cli.pipeline import run
from rsmoe_cli.pipeline.run import Engine
from rsmoe_cli.pipeline.session import open_session

_TILE, _COLUMNS, _ROWS = 224, 3, 6
"""Side of a tile in pixels, and the tiles of the scene."""


def main() -> None:
    """Draw, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", type=float, nargs="+", default=[0, 2], help="busy processes for each core")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    engine = rsmoe_core.load("nano", device="cpu")
    print("| busy processes | one scene, s | shared batches, s | a batch each, s | shared / one | each / one |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        scene, parts = draw(Path(folder))
        seconds([scene], engine)  # warm up
        for load in arguments.load:
            processes = round(load * (os.cpu_count() or 1))
            with busy(processes):
                rounds = [measure(scene, parts, engine) for _ in range(arguments.rounds)]
            print(f"| {processes} | {' | '.join(row(rounds))} |", flush=True)


def row(rounds: list[tuple[float, float, float]]) -> list[str]:
    """Medians of the seconds, and of the ratios to one scene."""
    columns = zip(*((one, shared, each, shared / one, each / one) for one, shared, each in rounds), strict=True)
    return [f"{statistics.median(column):.2f}" for column in columns]


def draw(folder: Path) -> tuple[str, list[str]]:
    """A scene without nodata, and its tiles as a scene each."""
    with rasterio.open(big_scene(folder / "drawn.tif", _TILE * _ROWS)) as drawn:
        scene = _cut(
            drawn, Window(_TILE * (_ROWS - _COLUMNS), 0, _TILE * _COLUMNS, _TILE * _ROWS), folder / "scene.tif"
        )
    with rasterio.open(scene) as dataset:
        places = [(x, y) for y in range(_ROWS) for x in range(_COLUMNS)]
        windows = [Window(_TILE * x, _TILE * y, _TILE, _TILE) for x, y in places]
        return scene, [_cut(dataset, window, folder / f"{n:02}.tif") for n, window in enumerate(windows)]


def _cut(dataset: rasterio.DatasetReader, window: Window, path: Path) -> str:
    profile = {**dataset.profile, "width": window.width, "height": window.height, "tiled": False}
    for key in ("blockxsize", "blockysize"):
        profile.pop(key, None)
    profile["transform"] = dataset.window_transform(window)
    with rasterio.open(path, "w", **profile) as part:
        part.descriptions = dataset.descriptions
        part.write(dataset.read(window=window))
    return str(path)


def measure(scene: str, parts: list[str], engine: Engine) -> tuple[float, float, float]:
    """Seconds of one scene, of its parts in shared batches, and of its parts with a batch each."""
    one, shared = seconds([scene], engine), seconds(parts, engine)
    with mock.patch.object(run, "_MAX_WAIT", 0.0):
        return one, shared, seconds(parts, engine)


def seconds(scenes: list[str], engine: Engine) -> float:
    """Seconds of one run, from the first file that is opened to the finished output."""
    job = CaptionJob(scenes, TilingOptions(tile_size=str(_TILE), overlap=0))
    out = Path(scenes[0]).with_suffix(".gpkg")
    start = time.perf_counter()
    with open_session(job, lambda: engine, DESCRIPTIONS, out) as session:
        caption_scenes(session, job)
        session.finish("")
    out.unlink()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
