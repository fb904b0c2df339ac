"""Arguments of the command line → names of scenes → each of them opened and cut into tiles, one at a time.

arguments ──find_scenes──▶ paths;   path ──TilingOptions.open──▶ Scene ──TilingOptions.grid──▶ Grid
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.bands import parse_bands
from rsmoe_cli.raster.scene import Scene, SceneFile, checked_scene
from rsmoe_cli.tiles.grid import Grid, fitting_tile_size, parse_tile_size

_SUFFIXES = {".tif", ".tiff", ".vrt", ".jp2", ".img", ".png", ".jpg", ".jpeg"}
"""The files of a folder that are taken for scenes."""


def find_scenes(arguments: Sequence[str]) -> list[str]:
    """Files, addresses, folders and patterns such as `*.tif` → scenes in order, each once.

    A folder stands for the rasters directly in it.

    Raises:
        SceneError: a folder or a pattern without any raster.
    """
    return list(dict.fromkeys(path for argument in arguments for path in _expanded(argument)))


def _expanded(argument: str) -> Iterator[str]:
    if Path(argument).is_dir():
        paths = sorted(str(path) for path in Path(argument).iterdir() if path.suffix.lower() in _SUFFIXES)
        if not paths:
            raise SceneError(f"there is no raster in the folder {argument}; name a file, or another folder")
        yield from paths
    elif _is_pattern(argument):
        paths = sorted(glob.glob(argument, recursive=True))
        if not paths:
            raise SceneError(f"no file matches '{argument}'; check the pattern")
        yield from paths
    else:
        yield argument


def _is_pattern(argument: str) -> bool:
    is_remote = "://" in argument or argument.startswith("/vsi")
    return glob.has_magic(argument) and not is_remote and not Path(argument).exists()


@dataclass(frozen=True)
class TilingOptions:
    """How scenes are read and cut into tiles, as the user asked for it; the same for all scenes of a run."""

    bands: str | None
    """Such as `3,2,1`; None to choose by what the files say."""
    stretch: str
    """`auto`, `none` or two percentages."""
    tile_size: str | None
    """Pixels or metres; None for tiles that fit the scene."""
    overlap: int | None
    """Pixels that neighbouring tiles share; None for a quarter of a tile."""
    allow_external: bool = False
    """Whether scenes may refer to files outside of their own folders, and to the network."""

    def open(self, path: str) -> Scene:
        """Open a scene and check everything that can be checked without the model.

        Raises:
            SceneError: it cannot be read.
            UsageError: it has no such bands, or cannot be cut into such tiles.
        """
        with checked_scene(path, self.allow_external) as file:
            return self.read(file)

    def read(self, file: SceneFile) -> Scene:
        """A scene whose file is open already; raises the same errors as `open`."""
        scene = file.scene(parse_bands(self.bands) if self.bands is not None else None, self.stretch)
        self._tile_size(scene)
        return scene

    def grid(self, scene: Scene, image_size: int) -> Grid:
        """The tiles of a scene, for an engine with images of `image_size` pixels a side.

        Raises:
            UsageError: the overlap does not fit the tiles.
        """
        size = self._tile_size(scene)
        overlap = (size or image_size) // 4 if self.overlap is None else self.overlap
        size = size or fitting_tile_size(scene.width, scene.height, image_size, overlap)
        return Grid(scene.width, scene.height, size, overlap)

    def _tile_size(self, scene: Scene) -> int | None:
        """Side of a tile in pixels; None where tiles are to fit the scene."""
        return parse_tile_size(self.tile_size, scene.metres_per_pixel) if self.tile_size is not None else None
