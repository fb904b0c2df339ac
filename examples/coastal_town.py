"""Draw a coastal town from above, as a GeoTIFF with exact ground truth beside it.

    python examples/coastal_town.py OUT_FOLDER [--seed 7] [--size 2016]

The scene always covers 3,024 x 3,024 m (9.1 km², less a nodata corner). `--size` sets its pixels per side: 2016 makes
pixels of 1.5 m. The same seed always gives the same files.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from coastal.render import build, paint
from coastal.world import World
from coastal.write import write_image, write_layers, write_numbers

SMALLEST, LARGEST = 256, 8064
"""Limits of the pixels per side: fewer show nothing, more do not fit in the memory of a small machine."""


@dataclass(frozen=True)
class Paths:
    """The files of one rendered scene."""

    scene: Path
    """The GeoTIFF: red, green, blue; nodata 0."""
    truth: Path
    """The GeoPackage with the layers `objects` and `zones`."""
    numbers: Path
    """The JSON file with counts and areas."""


def render(folder: Path | str, seed: int = 7, size: int = 2016) -> Paths:
    """Draw the scene of a seed at `size` pixels a side into an existing or new folder.

    Files of the same names are replaced, each only once its successor is complete.

    Raises:
        ValueError: the seed or the size is out of range.
        OSError: the folder cannot be written.
    """
    if seed < 0 or not SMALLEST <= size <= LARGEST:
        raise ValueError(f"the seed must not be negative and the size must be from {SMALLEST} to {LARGEST} pixels")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    world = build(seed)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".coastal-") as aside:
        fresh = paths_in(Path(aside))
        save(fresh, world, seed, size)
        final = paths_in(folder)
        for name in ("scene", "truth", "numbers"):
            getattr(fresh, name).replace(getattr(final, name))
    return final


def save(paths: Paths, world: World, seed: int, size: int) -> None:
    """Write the three files of a world."""
    write_image(paths.scene, paint(world, size, seed), seed)
    write_layers(paths.truth, world)
    write_numbers(paths.numbers, world, seed, size)


def paths_in(folder: Path) -> Paths:
    """Where a folder holds the files."""
    stem = folder / "coastal_town"
    return Paths(stem.with_suffix(".tif"), stem.with_suffix(".truth.gpkg"), stem.with_suffix(".truth.json"))


def main() -> int:
    """Run as a script; returns the exit code."""
    parser = argparse.ArgumentParser(description="Draw a coastal town as a GeoTIFF with exact ground truth.")
    parser.add_argument("folder", type=Path, help="folder to write to; created if it does not exist")
    parser.add_argument("--seed", type=int, default=7, help="seed of the scene (default: %(default)s)")
    parser.add_argument("--size", type=int, default=2016, help="pixels per side, for 3,024 m (default: %(default)s)")
    options = parser.parse_args()
    try:
        paths = render(options.folder, options.seed, options.size)
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        print(f"coastal_town: cannot write to {options.folder}: {error.strerror or error}", file=sys.stderr)
        return 1
    for path in (paths.scene, paths.truth, paths.numbers):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
