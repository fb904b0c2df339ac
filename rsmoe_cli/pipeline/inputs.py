"""What stands on the command line → names of scenes → each of them opened and cut, one at a time.

words ──▶ find_scenes ──▶ path, path, ... ──▶ TilingOptions.open ──▶ Scene ──▶ TilingOptions.grid ──▶ Grid
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.bands import parse_bands
from rsmoe_cli.raster.dataset import first_line, open_dataset, quiet_gdal
from rsmoe_cli.raster.safety import refuse_external
from rsmoe_cli.raster.scene import Scene, open_scene
from rsmoe_cli.tiles.grid import Grid, fitting_tile_size, parse_tile_size

_SUFFIXES = {".tif", ".tiff", ".vrt", ".jp2", ".img", ".png", ".jpg", ".jpeg"}
"""What is taken for a scene in a folder."""
_BESIDE = (".aux.xml", ".ovr")
"""Files beside a scene that other programs write while they look at it, and that say nothing new about its pixels."""


def find_scenes(words: Sequence[str]) -> list[str]:
    """Files, addresses, folders and patterns such as `*.tif` → scenes in order, each once.

    Of a folder these are the rasters that lie right in it.

    Raises:
        SceneError: a folder or a pattern that has none.
    """
    return list(dict.fromkeys(path for word in words for path in _found(word)))


def _found(word: str) -> Iterator[str]:
    if Path(word).is_dir():
        found = sorted(str(path) for path in Path(word).iterdir() if path.suffix.lower() in _SUFFIXES)
        if not found:
            raise SceneError(f"there is no raster in the folder {word}; name a file, or another folder")
        yield from found
    elif glob.has_magic(word) and "://" not in word and not word.startswith("/vsi") and not Path(word).exists():
        found = sorted(glob.glob(word, recursive=True))
        if not found:
            raise SceneError(f"no file is called like '{word}'; check the pattern")
        yield from found
    else:
        yield word


@dataclass(frozen=True)
class TilingOptions:
    """How scenes are drawn and cut into tiles, as the user asked for it; the same for all scenes of a run."""

    bands: str | None
    """Such as `3,2,1`; None to choose by what the files say."""
    stretch: str
    """`auto`, `none` or two percentages."""
    tile_size: str | None
    """Pixels or metres; None for tiles that fit the scene."""
    overlap: int
    """Pixels that neighbouring tiles share."""
    allow_external: bool = False
    """Whether scenes may name files outside of their own folders, and the network."""
    _last: dict[str, Scene] = field(default_factory=dict, init=False, repr=False, compare=False)
    """The scene that was opened last, since the first one is looked at before the model is loaded and again later."""

    def open(self, path: str) -> Scene:
        """A scene of which all that can be refused has been.

        Raises:
            SceneError: it cannot be read.
            UsageError: it cannot be drawn or cut like this.
        """
        if path not in self._last:
            self._last.clear()
            bands = parse_bands(self.bands) if self.bands is not None else None
            scene = open_scene(path, bands, self.stretch, self.allow_external)
            self._size(scene)
            self._last[path] = scene
        return self._last[path]

    def grid(self, scene: Scene, image_size: int) -> Grid:
        """The tiles of a scene, for an engine that sees that many pixels a side."""
        size = self._size(scene) or fitting_tile_size(scene.width, scene.height, image_size, self.overlap)
        return Grid(scene.width, scene.height, size, self.overlap)

    def _size(self, scene: Scene) -> int | None:
        """Side of the tiles in pixels, if it is asked for. Raises UsageError if the scene cannot be cut like this."""
        return parse_tile_size(self.tile_size, scene.metres_per_pixel) if self.tile_size is not None else None


def file_signature(path: str, allow_external: bool = False) -> str:
    """What the files of a scene look like from outside: how many bytes, of when. A scene that changes gets another.

    Of files that are not on this machine only the sizes in pixels and the place are known.

    Raises:
        SceneError: the scene cannot be read, or names what it may not.
    """
    if not allow_external:
        refuse_external(path)
    with quiet_gdal(), open_dataset(path) as dataset:
        try:
            names = [name for name in dataset.files if not name.lower().endswith(_BESIDE)]
            place = f"{dataset.width} x {dataset.height} pixels at {tuple(dataset.transform)[:6]}"
        except Exception as error:  # a damaged file can make rasterio and GDAL raise nearly anything
            raise SceneError(f"cannot read {path}: {first_line(error)}; fetch it again") from error
    found = [Path(name).stat() for name in names if Path(name).is_file()]
    if not found:
        return place
    when = datetime.fromtimestamp(max(file.st_mtime_ns for file in found) / 1e9, UTC)
    return f"{sum(file.st_size for file in found)} bytes of {when.isoformat(timespec='microseconds')}"
