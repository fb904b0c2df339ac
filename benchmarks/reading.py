"""How fast tiles are read when nobody looks at them, and in how much memory.

    python -m benchmarks.reading [--side 10980] [--delay 0.08] [--large]

Draws scenes in a temporary folder (less than 1 GB; 6 GB with --large, which adds scenes of 40,000 x 40,000 pixels) and
reads all of their tiles, each time in a process of its own. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import rasterio.shutil

from benchmarks.range_server import RangeServer
from rsmoe_cli.bench.drawing import big_scene
from rsmoe_cli.raster.scene import open_scene
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileFailure
from rsmoe_cli.tiles.prefetch import MAX_READERS, INITIAL_READERS, ReadingLog
from rsmoe_cli.tiles.reader import OVERSAMPLING, read_tiles

_SEES = 224
"""Pixels a side that an engine sees."""
_HEAD = ("file", "tile", "readers", "tiles", "tiles/s", "waited s", "failed", "MB asked", "requests", "peak RSS, MB")


def main() -> None:
    """Draw, read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=10980, help="pixels a side of the scene")
    parser.add_argument("--delay", type=float, default=0.08, help="seconds that each answer of the server takes")
    parser.add_argument("--large", action="store_true", help="also read 40,000 x 40,000 pixels")
    parser.add_argument("--one", nargs=3, metavar=("SOURCE", "TILE", "READERS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        source, tile, readers = arguments.one
        print(json.dumps(read_one(source, int(tile), int(readers))))
        return
    print(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder), arguments.side, arguments.delay, arguments.large):
            print(f"| {' | '.join(row)} |", flush=True)


def rows(folder: Path, side: int, delay: float, large: bool) -> Iterator[tuple[str, ...]]:
    """A row of the table for each file and way to read it."""
    tiled = big_scene(folder / "tiled.tif", side)
    yield row("blocks", tiled, _SEES)
    yield row("blocks", tiled, 1000)
    yield row("blocks", tiled, 4096)
    Path(tiled).unlink()
    striped = big_scene(folder / "striped.tif", side, tiled=False, blockysize=16)
    yield row("strips", striped, _SEES)
    yield row("strips", striped, 4096)
    Path(striped).unlink()
    small = big_scene(folder / "small.tif", 5000)
    yield row("blocks, 5,000 pixels a side", small, _SEES)
    cog = folder / "cog.tif"
    rasterio.shutil.copy(small, cog, driver="COG", blocksize=512, compress="deflate", level=1, predictor=2)
    for most in (INITIAL_READERS, MAX_READERS):
        yield row(f"COG, 5,000 pixels a side, {1000 * delay:g} ms away", str(cog), _SEES, most, delay)
    if large:
        for name, profile in (("blocks", {}), ("strips", {"tiled": False, "blockysize": 16})):
            huge = big_scene(folder / "huge.tif", 40_000, **profile)
            yield row(f"{name}, 40,000 pixels a side", huge, _SEES)
            yield row(f"{name}, 40,000 pixels a side", huge, 4096)


def row(name: str, path: str, tile: int, most: int = MAX_READERS, delay: float | None = None) -> tuple[str, ...]:
    """Reads a file in a process of its own; from the server if there is a delay."""
    with nullcontext() if delay is None else RangeServer(path, delay) as server:
        source = server.url if server else path
        command = [sys.executable, "-m", "benchmarks.reading", "--one", source, str(tile), str(most)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        asked = server.asked() if server else None
    return (
        name,
        str(tile),
        f"{found['readers']} of {most}",
        f"{found['tiles']:,}",
        f"{found['tiles'] / found['seconds']:.1f}",
        f"{found['waited']:.1f}",
        str(found["failed"]),
        f"{asked.bytes / 1e6:.0f} of {Path(path).stat().st_size / 1e6:.0f}" if asked else "",
        str(len(asked.ranges)) if asked else "",
        f"{found['peak_mb']:.0f}",
    )


def read_one(source: str, tile: int, most: int) -> dict[str, float]:
    """All tiles of a scene, thrown away; the time starts when the scene is open."""
    scene, log, failed, count = open_scene(source), ReadingLog(), 0, 0
    started = time.perf_counter()
    for result in read_tiles(scene, Grid(scene.width, scene.height, tile), OVERSAMPLING * _SEES, most, log=log):
        count += 1
        failed += isinstance(result, TileFailure)
    return {
        "tiles": count,
        "failed": failed,
        "seconds": time.perf_counter() - started,
        "waited": log.waited_seconds,
        "readers": log.readers,
        "peak_mb": peak_mb(),
    }


def peak_mb() -> float:
    """The most memory that this process had at any time; where the system tells no better, its parent's counts too."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
