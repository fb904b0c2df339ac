"""Arguments of the command line → names of scenes → each of them opened and cut into tiles, one at a time.

arguments ──find_scenes──▶ paths;   path ──open_input──▶ Scene ──cut──▶ Grid
"""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rsmoe_cli.errors import SceneError
from rsmoe_cli.option_groups import TilingOptions
from rsmoe_cli.pipeline.run import Engine
from rsmoe_cli.raster.bands import parse_bands
from rsmoe_cli.raster.products import PICTURE_SUFFIXES, RASTER_SUFFIXES, scenes_in
from rsmoe_cli.raster.scene import Scene, SceneFile, checked_scene
from rsmoe_cli.tiles.grid import Grid, fitting_tile_size, parse_tile_size


@dataclass(frozen=True)
class SceneJob:
    """What is to be done with which scenes. A journal serves only the job that it was started for."""

    command: ClassVar[str]
    """Name of the command."""

    scenes: Sequence[str]
    """As named by the user, in order."""
    tiling: TilingOptions
    """How they are read and cut."""

    def options(self) -> dict[str, object]:
        """The command's own options that decide what is in the output, by the names that users know."""
        return {}

    def settings(self, engine: Engine | None, dst_crs: str | None) -> dict[str, object]:
        """Everything that decides what is in the output, by the names that users know."""
        return {
            "the command": self.command,
            "the list of scenes": list(self.scenes),
            "--bands": self.tiling.bands,
            "--stretch": self.tiling.stretch,
            "--nodata": self.tiling.nodata,
            "--tile-size": self.tiling.tile_size,
            "--overlap": self.tiling.overlap,
            "--dst-crs": dst_crs,
            **self.options(),
            "the model": None if engine is None else f"{engine.name} {engine.revision}",
            "its number format": None if engine is None else engine.dtype,
            **_texts(engine),
        }


def _texts(engine: Engine | None) -> dict[str, object]:
    """What else decides the texts."""
    if engine is None:
        return {}
    chosen = engine.options
    return {
        "--mixture": chosen.mixture,
        "--words": chosen.words,
        "--detail": chosen.detail,
        "--prompt": chosen.prompt,
    }


_MAX_FOLDERS = 1000
"""Folders in a folder that are searched for a raster to name in a message."""


def find_scenes(arguments: Sequence[str]) -> list[str]:
    """Files, addresses, folders and patterns such as `*.tif` → scenes in order, each once.

    A folder stands for the rasters and products directly in it, unless it is a product itself.

    Raises:
        SceneError: a folder or a pattern without any raster, or a folder with bands of several products.
    """
    return list(dict.fromkeys(path for argument in arguments for path in _expanded(argument)))


def _expanded(argument: str) -> Iterator[str]:
    if os.path.isdir(argument):
        paths = scenes_in(argument)
        if not paths:
            raise SceneError(
                f"there is no raster in the folder {argument}; {_deeper(argument) or 'name a file, or another folder'}"
            )
        yield from paths
    elif _is_pattern(argument):
        paths = sorted(glob.glob(argument, recursive=True))
        if not paths:
            raise SceneError(f"no file matches '{argument}'; check the pattern")
        yield from paths
    else:
        yield argument


def _deeper(folder: str) -> str | None:
    """What to name instead of a folder with rasters in its folders only."""
    rasters = [
        os.path.join(place, name)
        for place, _, files in itertools.islice(os.walk(folder), _MAX_FOLDERS)
        for name in sorted(files)
        if name.lower().endswith(RASTER_SUFFIXES)
    ]
    # Pictures in the folders of a product are previews.
    first = next((name for name in rasters if not name.lower().endswith(PICTURE_SUFFIXES)), next(iter(rasters), None))
    return f"name a file, such as {first}" if first else None


def _is_pattern(argument: str) -> bool:
    is_remote = "://" in argument or argument.startswith("/vsi")
    return glob.has_magic(argument) and not is_remote and not os.path.exists(argument)


def open_input(path: str, tiling: TilingOptions) -> Scene:
    """Open a scene and check everything that can be checked without the model.

    Raises:
        SceneError: it cannot be read.
        UsageError: it has no such bands, or cannot be cut into such tiles.
    """
    with checked_scene(path, tiling.allow_external) as file:
        return read_input(file, tiling)


def read_input(file: SceneFile, tiling: TilingOptions) -> Scene:
    """A scene whose file is open already; raises the same errors as `open_input`."""
    bands = parse_bands(tiling.bands) if tiling.bands is not None else None
    scene = file.scene(bands, tiling.stretch, tiling.nodata)
    _tile_size(scene, tiling)
    return scene


def cut(scene: Scene, tiling: TilingOptions, image_size: int) -> Grid:
    """The tiles of a scene, for an engine with images of `image_size` pixels a side.

    Raises:
        UsageError: the overlap does not fit the tiles.
    """
    size = _tile_size(scene, tiling)
    overlap = (size or image_size) // 4 if tiling.overlap is None else tiling.overlap
    size = size or fitting_tile_size(scene.width, scene.height, image_size, overlap)
    return Grid(scene.width, scene.height, size, overlap)


def _tile_size(scene: Scene, tiling: TilingOptions) -> int | None:
    """Side of a tile in pixels; None where tiles are to fit the scene."""
    return parse_tile_size(tiling.tile_size, scene.metres_per_pixel) if tiling.tile_size is not None else None
