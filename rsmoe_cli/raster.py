"""A raster file as a scene: what it is, how it is drawn, and the pictures of its windows.

path ──▶ open_scene ──▶ Scene;   open_dataset + Scene + window ──▶ Picture
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from rsmoe_cli.bands import Band, BandChoice, choose_bands
from rsmoe_cli.errors import SceneError
from rsmoe_cli.georeference import Georeference, read_georeference
from rsmoe_cli.masks import ValidMask, find_mask, is_alpha
from rsmoe_cli.remote import gdal_settings
from rsmoe_cli.stretch import AS_STORED, Stretch, fit_stretch, parse_stretch
from rsmoe_cli.truncation import missing_bytes

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

# A missing georeference is told to the user once, as a note of the scene.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

_SAMPLE_SIDE = 1024
"""Longest side of the decimated picture that statistics are taken from."""
_LARGE = 2**26
"""Pixels of a scene without overviews beyond which statistics come from patches."""
_PATCHES = 8
"""Patches along each side of such a scene."""
_PATCH_SIDE = 128
"""Longest side of a patch, in pixels."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A raster and all that was decided about it once; safe to share between threads."""

    path: str
    """File name or URI as given by the user."""
    width: int
    """Columns, in pixels."""
    height: int
    """Rows, in pixels."""
    georeference: Georeference
    """Where the pixels lie."""
    choice: BandChoice
    """The bands that are drawn."""
    palette: NDArray[np.uint8] | None
    """Nx3 colours by pixel value for a band with a colour table, else None."""
    mask: ValidMask
    """How valid pixels are found."""
    stretch: Stretch
    """How values become brightness."""
    notes: tuple[str, ...]
    """What the user should know about these decisions, one sentence each."""

    @property
    def metres_per_pixel(self) -> float | None:
        """Ground sample distance at the centre; None where nobody knows it."""
        return self.georeference.metres_per_pixel(self.width, self.height)


def quiet_gdal() -> rasterio.Env:
    """A context in which GDAL does not talk to the terminal; for the calling thread, around every read."""
    return rasterio.Env(**gdal_settings())


def open_dataset(path: str) -> DatasetReader:
    """Opens a raster; the only place that does. Close it, and use it from one thread at a time.

    Raises:
        SceneError: the file is missing or is no raster that GDAL can read.
    """
    _refuse_missing(path)
    try:
        return rasterio.open(path)
    except (RasterioError, OSError) as error:
        raise SceneError(f"cannot read {path}: it is not a raster that GDAL knows, or it is damaged") from error


def open_scene(path: str, bands: tuple[int, ...] | None = None, stretch: str = "auto") -> Scene:
    """Looks at a raster and settles bands, mask and stretch for all of its tiles.

    Raises:
        SceneError: the raster is missing, damaged, cut short or has no usable band.
        UsageError: a band that is not there, or a stretch that is not understood.
    """
    with quiet_gdal(), open_dataset(path) as dataset:
        if dataset.count == 0:
            inside = f"; it holds {', '.join(dataset.subdatasets[:4])}" if dataset.subdatasets else ""
            raise SceneError(f"{path} has no bands{inside}")
        if missing := missing_bytes(dataset, path):
            raise SceneError(f"{path} is cut short: {missing} bytes are missing at its end; fetch the file again")
        try:
            return _decide(dataset, path, bands, stretch)
        except (RasterioError, OSError) as error:
            raise SceneError(f"cannot read the pixels of {path}: {first_line(error)}") from error


def _decide(dataset: DatasetReader, path: str, asked: tuple[int, ...] | None, stretch: str) -> Scene:
    notes = []
    all_bands = _list_bands(dataset)
    alpha = next((band.index for band in all_bands if band.interpretation == "alpha"), None)
    if alpha is not None and not is_alpha(_sample(dataset, [alpha])):
        notes.append(f"band {alpha} is called alpha but is no mask (it varies smoothly); it does not hide any pixel")
        all_bands = [Band(b.index, "undefined", b.description, b.dtype) if b.index == alpha else b for b in all_bands]
        alpha = None
    try:
        choice = choose_bands(all_bands, asked)
    except SceneError as error:
        raise SceneError(f"{path} {error}") from None
    if choice.by_position:
        drawn = ", ".join(str(index) for index in choice.indexes)
        notes.append(f"no band says its colour: drawing band {drawn} by position; choose others with --bands")
    mask = find_mask(dataset, choice, alpha)
    palette = _palette(dataset, choice)
    percent = parse_stretch(stretch, shown_as_stored=choice.shown_as_stored or palette is not None)
    georeference = read_georeference(dataset)
    if georeference.warning:
        notes.append(georeference.warning)
    return Scene(
        path=path,
        width=dataset.width,
        height=dataset.height,
        georeference=georeference,
        choice=choice,
        palette=palette,
        mask=mask,
        stretch=AS_STORED if percent is None else _fit(dataset, choice, mask, percent),
        notes=tuple(notes),
    )


def read_pixels(
    dataset: DatasetReader, scene: Scene, window: Window, out_shape: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """HxWx3 picture of a window as the engine sees it; `out_shape` asks for a smaller picture of it, averaged.

    Raises:
        rasterio.errors.RasterioIOError: pixels that cannot be read.
    """
    shape = out_shape or (int(window.height), int(window.width))
    values = dataset.read(
        list(scene.choice.indexes),
        window=window,
        out_shape=(len(scene.choice.indexes), *shape),
        resampling=Resampling.nearest if scene.palette is not None or out_shape is None else Resampling.average,
    )
    if scene.palette is not None:
        return scene.palette[np.clip(values[0], 0, len(scene.palette) - 1)]
    picture = scene.stretch.apply(values)
    return np.broadcast_to(picture, (3, *shape)).transpose(1, 2, 0)


def first_line(error: BaseException) -> str:
    """The message of an error as one line; GDAL's own reason where rasterio hides it behind a general one."""
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return text.splitlines()[0]


def _refuse_missing(path: str) -> None:
    """Only plain local names are checked: GDAL has its own for archives, the network and parts of files."""
    if path.startswith("/vsi") or ":" in path:
        return
    if not Path(path).exists():
        raise SceneError(f"there is no file {path}; check the name")
    if Path(path).is_dir():
        raise SceneError(f"{path} is a folder; name one raster file in it")


def _list_bands(dataset: DatasetReader) -> list[Band]:
    return [
        Band(index, interpretation.name, description or "", dtype)
        for index, interpretation, description, dtype in zip(
            dataset.indexes, dataset.colorinterp, dataset.descriptions, dataset.dtypes, strict=True
        )
    ]


def _palette(dataset: DatasetReader, choice: BandChoice) -> NDArray[np.uint8] | None:
    """Colour table of the drawn band; only a single band in 'palette' interpretation has a use for it."""
    if len(choice.bands) != 1 or choice.bands[0].interpretation != "palette":
        return None
    table = dataset.colormap(choice.indexes[0])
    colours = np.zeros((max(table) + 1, 3), np.uint8)
    for value, rgba in table.items():
        colours[value] = rgba[:3]
    return colours


def _sample_windows(dataset: DatasetReader) -> list[tuple[Window, tuple[int, int]]]:
    """Windows that stand for the whole scene, and the shapes to read them in.

    The whole scene on a small grid, from overviews where there are any; a large scene without overviews would have to
    be read in full for that, and is known by patches spread over it instead.
    """
    width, height = dataset.width, dataset.height
    if dataset.overviews(1) or width * height <= _LARGE:
        shrink = max(1.0, max(width, height) / _SAMPLE_SIDE)
        return [(Window(0, 0, width, height), (max(1, round(height / shrink)), max(1, round(width / shrink))))]
    wide, high = min(_PATCH_SIDE, width), min(_PATCH_SIDE, height)
    lefts, tops = (np.linspace(0, extent, _PATCHES, dtype=int) for extent in (width - wide, height - high))
    return [(Window(left, top, wide, high), (high, wide)) for top in tops.tolist() for left in lefts.tolist()]


def _sample(dataset: DatasetReader, indexes: Sequence[int]) -> NDArray[Any]:
    """CxN values of N sample pixels."""
    parts = [
        dataset.read(list(indexes), window=window, out_shape=(len(indexes), *shape)).reshape(len(indexes), -1)
        for window, shape in _sample_windows(dataset)
    ]
    return np.concatenate(parts, axis=1)


def _fit(dataset: DatasetReader, choice: BandChoice, mask: ValidMask, percent: tuple[float, float]) -> Stretch:
    valid = [mask.read(dataset, window, shape).ravel() for window, shape in _sample_windows(dataset)]
    return fit_stretch(_sample(dataset, choice.indexes), np.concatenate(valid), percent)
