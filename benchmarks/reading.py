"""How fast tiles are read without an engine, and in how much memory.

    python -m benchmarks.reading [--side 10980] [--delay 0.08] [--large]

Draws scenes in a temporary folder (less than 1 GB; 6 GB with --large, which adds scenes of 40,000 x 40,000 pixels) and
reads all of their tiles, each time in a separate process. Prints a Markdown table.
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
from rsmoe_cli.tiles.prefetch import INITIAL_READERS, MAX_READERS, ReadingLog
from rsmoe_cli.tiles.reader import OVERSAMPLING, read_tiles

_IMAGE_SIZE = 224
"""Input side of the engine, in pixels."""
_HEAD = (
    "file",
    "tile",
    "readers",
    "tiles",
    "tiles/s",
    "waited s",
    "failed",
    "MB requested",
    "requests",
    "peak RSS, MB",
)


def main() -> None:
    """Draw, read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=10980, help="side of the scene, in pixels")
    parser.add_argument("--delay", type=float, default=0.08, help="latency of the server, in seconds")
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
    """A row of the table for each file, tile size and limit of readers."""
    tiled = big_scene(folder / "tiled.tif", side)
    yield row("blocks", tiled, _IMAGE_SIZE)
    yield row("blocks", tiled, 1000)
    yield row("blocks", tiled, 4096)
    Path(tiled).unlink()
    striped = big_scene(folder / "striped.tif", side, tiled=False, blockysize=16)
    yield row("strips", striped, _IMAGE_SIZE)
    yield row("strips", striped, 4096)
    Path(striped).unlink()
    small = big_scene(folder / "small.tif", 5000)
    yield row("blocks, 5,000 pixels a side", small, _IMAGE_SIZE)
    cog = folder / "cog.tif"
    rasterio.shutil.copy(small, cog, driver="COG", blocksize=512, compress="deflate", level=1, predictor=2)
    for most in (INITIAL_READERS, MAX_READERS):
        yield row(f"COG, 5,000 pixels a side, {1000 * delay:g} ms away", str(cog), _IMAGE_SIZE, most, delay)
    if large:
        for name, profile in (("blocks", {}), ("strips", {"tiled": False, "blockysize": 16})):
            huge = big_scene(folder / "huge.tif", 40_000, **profile)
            yield row(f"{name}, 40,000 pixels a side", huge, _IMAGE_SIZE)
            yield row(f"{name}, 40,000 pixels a side", huge, 4096)


def row(name: str, path: str, tile: int, most: int = MAX_READERS, delay: float | None = None) -> tuple[str, ...]:
    """Read a file in a separate process; from the server if there is a delay."""
    with nullcontext() if delay is None else RangeServer(path, delay) as server:
        source = server.url if server else path
        command = [sys.executable, "-m", "benchmarks.reading", "--one", source, str(tile), str(most)]
        figures = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        log = server.log() if server else None
    return (
        name,
        str(tile),
        f"{figures['readers']} of {most}",
        f"{figures['tiles']:,}",
        f"{figures['tiles'] / figures['seconds']:.1f}",
        f"{figures['waited']:.1f}",
        str(figures["failed"]),
        f"{log.bytes / 1e6:.0f} of {Path(path).stat().st_size / 1e6:.0f}" if log else "",
        str(len(log.ranges)) if log else "",
        f"{figures['peak_mb']:.0f}",
    )


def read_one(source: str, tile: int, most: int) -> dict[str, float]:
    """Read all tiles of a scene and discard them; the time starts when the scene is open."""
    scene, log, failed, count = open_scene(source), ReadingLog(), 0, 0
    started = time.perf_counter()
    for result in read_tiles(scene, Grid(scene.width, scene.height, tile), OVERSAMPLING * _IMAGE_SIZE, most, log=log):
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
    """Peak memory of this process; without /proc, that of its parent at its start is included."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
