"""A raster file as a scene: what it is, how it is drawn, and the pictures of its windows.

path ──▶ open_scene ──▶ Scene;   open_dataset + Scene + window ──▶ Picture
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.bands import Band, BandSelection, choose_bands
from rsmoe_cli.raster.dataset import first_line, open_dataset, quiet_gdal, read_bands
from rsmoe_cli.raster.georeference import Georeference, read_georeference
from rsmoe_cli.raster.masks import ValidMask, find_mask, is_alpha
from rsmoe_cli.raster.safety import refuse_external, refuse_unreadable
from rsmoe_cli.raster.stretch import AS_STORED, Stretch, fit_stretch, parse_stretch
from rsmoe_core.errors import RsmoeError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

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
    band_selection: BandSelection
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


def open_scene(
    path: str, bands: tuple[int, ...] | None = None, stretch: str = "auto", allow_external: bool = False
) -> Scene:
    """Looks at a raster and settles bands, mask and stretch for all of its tiles.

    `allow_external` lets it name files outside of its own folder, and the network.

    Raises:
        SceneError: the raster is missing, damaged, cut short, has no usable band, cannot be read piece by piece, or
            names what lies elsewhere.
        UsageError: a band that is not there, or a stretch that is not understood.
    """
    if not allow_external:
        refuse_external(path)
    with quiet_gdal(), open_dataset(path) as dataset:
        try:
            refuse_unreadable(dataset, path)
            return _decide(dataset, path, bands, stretch)
        except RsmoeError:
            raise
        except Exception as error:  # a damaged file can make rasterio and GDAL raise nearly anything
            raise SceneError(f"cannot read the pixels of {path}: {first_line(error)}; fetch it again") from error


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
        band_selection=choice,
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
    values = read_bands(
        dataset,
        scene.band_selection.indexes,
        window=window,
        out_shape=(len(scene.band_selection.indexes), *shape),
        resampling=Resampling.nearest if scene.palette is not None or out_shape is None else Resampling.average,
    )
    if scene.palette is not None:
        return scene.palette[np.clip(values[0], 0, len(scene.palette) - 1)]
    picture = scene.stretch.apply(values)
    return np.broadcast_to(picture, (3, *shape)).transpose(1, 2, 0)


def _list_bands(dataset: DatasetReader) -> list[Band]:
    return [
        Band(index, interpretation.name, description or "", dtype)
        for index, interpretation, description, dtype in zip(
            dataset.indexes, dataset.colorinterp, dataset.descriptions, dataset.dtypes, strict=True
        )
    ]


def _palette(dataset: DatasetReader, choice: BandSelection) -> NDArray[np.uint8] | None:
    """Colour table of the drawn band; only a single band of bytes in 'palette' interpretation has a use for it."""
    if len(choice.bands) != 1 or choice.bands[0].interpretation != "palette":
        return None
    if not np.issubdtype(choice.bands[0].dtype, np.unsignedinteger):
        return None
    try:
        table = dataset.colormap(choice.indexes[0])
    except ValueError:  # it is called palette and has none
        return None
    colours = np.zeros((max(table, default=0) + 1, 3), np.uint8)
    for value, rgba in table.items():
        colours[value] = np.clip(rgba[:3], 0, 255)
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
        read_bands(dataset, indexes, window=window, out_shape=(len(indexes), *shape)).reshape(len(indexes), -1)
        for window, shape in _sample_windows(dataset)
    ]
    return np.concatenate(parts, axis=1)


def _fit(dataset: DatasetReader, choice: BandSelection, mask: ValidMask, percent: tuple[float, float]) -> Stretch:
    valid = [mask.read(dataset, window, shape).ravel() for window, shape in _sample_windows(dataset)]
    return fit_stretch(_sample(dataset, choice.indexes), np.concatenate(valid), percent)
