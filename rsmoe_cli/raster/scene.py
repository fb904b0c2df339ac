"""A raster file as a scene: everything that is decided once, so that all of its tiles are read alike.

    path ──▶ checked_scene ──▶ SceneFile ──▶ Scene           (open_scene does both)
    Scene.open() + window ──▶ read_pixels ──▶ image

A file is opened once for all of that. Later steps take what they need to know about it from the `Scene`, and only the
threads that read tiles open it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.bands import Band, BandSelection, select_bands
from rsmoe_cli.raster.dataset import (
    Drivers,
    dtype_bytes,
    file_signature,
    first_line,
    is_remote,
    open_dataset,
    read_bands,
    sample_bands,
)
from rsmoe_cli.raster.georeference import Georeference, read_georeference
from rsmoe_cli.raster.nodata.masks import ValidMask, find_mask, is_alpha
from rsmoe_cli.raster.nodata.undeclared import leave_out
from rsmoe_cli.raster.readable import check_readable
from rsmoe_cli.raster.safety import open_checked
from rsmoe_cli.raster.stretch import NO_STRETCH, Stretch, fit_stretch, is_dark, parse_stretch
from rsmoe_cli.raster.suitability import unsuitable
from rsmoe_core.errors import RsmoeError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader


@dataclass(frozen=True, eq=False)
class Scene:
    """A raster and everything that was decided about it; safe to share between threads."""

    path: str
    """File name or URI as given by the user."""
    width: int
    """Columns, in pixels."""
    height: int
    """Rows, in pixels."""
    georeference: Georeference
    """Where the pixels lie."""
    band_selection: BandSelection
    """The bands of the images."""
    palette: NDArray[np.uint8] | None
    """Nx3 colours by pixel value for a band with a colour table, else None."""
    mask: ValidMask
    """How valid pixels are found."""
    stretch: Stretch
    """How values become brightness."""
    notes: tuple[str, ...]
    """What the user should know about these decisions, one sentence each."""
    file_signature: str
    """State of the scene's files when it was opened; see `dataset.file_signature`."""
    is_remote: bool
    """Whether pixels are fetched over a network."""
    block_shape: tuple[int, int]
    """Height and width of the blocks in which the selected bands are stored, in pixels."""
    pixel_bytes: int
    """Decoded size of a pixel, all bands of the file together."""
    drivers: Drivers
    """GDAL drivers that may open the file."""
    source: str | None = None
    """The name under which GDAL opens it, where that is not the path: the raster of a product."""
    is_inverted: bool = False
    """Whether low values of a grey band are bright."""
    may_be_unwritten: bool = False
    """Whether tiles that are black or white throughout are blank: no stretch made them so, and no user wants them."""

    @property
    def metres_per_pixel(self) -> float | None:
        """Ground sample distance at the centre; None if it is unknown."""
        return self.georeference.metres_per_pixel(self.width, self.height)

    def open(self) -> DatasetReader:
        """Opens the file to read pixels. Use the dataset from one thread at a time, and close it.

        Raises:
            SceneError: the file is gone or damaged by now.
        """
        return open_dataset(self.path, self.drivers, self.source)


@dataclass(frozen=True, eq=False)
class SceneFile:
    """A raster that is open and refers to nothing that it may not; its pixels have not been read."""

    path: str
    """File name or URI as given by the user."""
    dataset: DatasetReader
    """The open raster."""
    drivers: Drivers
    """GDAL drivers that may open it again."""
    source: str | None = None
    """The name under which GDAL opens it, where that is not the path."""

    @property
    def signature(self) -> str:
        """State of its files; see `dataset.file_signature`.

        Raises:
            SceneError: the file is damaged.
        """
        with _scene_errors(self.path):
            return file_signature(self.dataset)

    def scene(self, bands: tuple[int, ...] | None = None, stretch: str = "auto", nodata: str | None = None) -> Scene:
        """Decides on bands, mask and stretch, for which it reads a sample of the pixels.

        Args:
            bands: Numbers of one or three bands; None to select them by what the file says.
            stretch: `auto`, `none` or two percentages; see `parse_stretch`.
            nodata: Values that are no data besides those that the file declares; None to look for them.

        Raises:
            SceneError: the raster is damaged, cut short, or has no usable band.
            UsageError: a band that does not exist, or a stretch or nodata that is not understood.
        """
        with _scene_errors(self.path):
            check_readable(self.dataset, self.path)
            return self._scene(bands, stretch, nodata)

    def _scene(self, requested_bands: tuple[int, ...] | None, stretch: str, nodata: str | None) -> Scene:
        dataset, notes = self.dataset, []
        bands = _list_bands(dataset)
        alpha = next((band.index for band in bands if band.is_alpha), None)
        if alpha is not None and not is_alpha(sample_bands(dataset, [alpha])):
            notes.append(f"band {alpha} is called alpha but is not a mask (it varies smoothly); it hides no pixel")
            bands = [Band(b.index, "undefined", b.description, b.dtype) if b.index == alpha else b for b in bands]
            alpha = None
        try:
            selection = select_bands(bands, requested_bands)
        except SceneError as error:
            raise SceneError(f"{self.path} {error}") from None
        if selection.note:
            notes.append(selection.note)
        palette = _palette(dataset, selection)
        mask = find_mask(dataset, selection, alpha)
        mask, fill_notes = leave_out(dataset, mask, nodata, is_remote(dataset, self.path), palette)
        notes += fill_notes
        is_ready = selection.is_display_ready or palette is not None
        is_grey = is_ready and selection.interpretations == {"gray"}
        if is_grey and stretch == "auto" and is_dark(*mask.sample(dataset, selection.indexes)):
            notes.append("the grey values are all below 64 of 255: they are stretched; --stretch none keeps them")
            is_ready = False
        percent = parse_stretch(stretch, is_display_ready=is_ready)
        georeference = read_georeference(dataset)
        if georeference.warning:
            notes.append(georeference.warning)
        metres_per_pixel = georeference.metres_per_pixel(dataset.width, dataset.height)
        notes += unsuitable(selection, [dataset.units[index - 1] for index in selection.indexes], metres_per_pixel)
        return Scene(
            path=self.path,
            width=dataset.width,
            height=dataset.height,
            georeference=georeference,
            band_selection=selection,
            palette=palette,
            mask=mask,
            stretch=NO_STRETCH if percent is None else _fit(dataset, selection, mask, percent),
            notes=tuple(notes),
            file_signature=file_signature(dataset),
            is_remote=is_remote(dataset, self.path),
            block_shape=dataset.block_shapes[selection.indexes[0] - 1],
            pixel_bytes=sum(map(dtype_bytes, dataset.dtypes)),
            drivers=self.drivers,
            source=self.source,
            is_inverted=palette is None and len(selection.bands) == 1 and _is_inverted(dataset),
            may_be_unwritten=nodata is None and percent is None and palette is None and selection.is_bytes,
        )


@contextmanager
def checked_scene(path: str, allow_external: bool = False) -> Iterator[SceneFile]:
    """Opens a raster, once everything that it refers to has been checked.

    `allow_external` lets it refer to files outside of its own folder, and to the network.

    Raises:
        SceneError: the raster is missing, damaged, or refers to something that it may not.
    """
    with open_checked(path, allow_external) as (dataset, drivers, source):
        yield SceneFile(path, dataset, drivers, source)


def open_scene(
    path: str,
    bands: tuple[int, ...] | None = None,
    stretch: str = "auto",
    allow_external: bool = False,
    nodata: str | None = None,
) -> Scene:
    """Opens a raster and decides on bands, mask and stretch for all of its tiles.

    Raises:
        SceneError: as `checked_scene` and `SceneFile.scene`.
        UsageError: as `SceneFile.scene`.
    """
    with checked_scene(path, allow_external) as file:
        return file.scene(bands, stretch, nodata)


def read_pixels(
    dataset: DatasetReader, scene: Scene, window: Window, out_shape: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """HxWx3 image of a window, red-green-blue; `out_shape` asks for fewer pixels, which are averages.

    Raises:
        rasterio.errors.RasterioIOError: the pixels cannot be read.
    """
    shape = out_shape or (int(window.height), int(window.width))
    indexes = scene.band_selection.indexes
    values = read_bands(
        dataset,
        indexes,
        window=window,
        out_shape=(len(indexes), *shape),
        resampling=Resampling.nearest if scene.palette is not None or out_shape is None else Resampling.average,
    )
    return draw(scene, values)


def draw(scene: Scene, values: NDArray[Any]) -> NDArray[np.uint8]:
    """CxHxW values of the selected bands → HxWx3 image, red-green-blue."""
    if scene.palette is not None:
        return scene.palette[np.clip(values[0], 0, len(scene.palette) - 1)]
    image = scene.stretch.apply(values)
    image = 255 - image if scene.is_inverted else image
    return np.broadcast_to(image, (3, *values.shape[1:])).transpose(1, 2, 0)


@contextmanager
def _scene_errors(path: str) -> Iterator[None]:
    try:
        yield
    except RsmoeError:
        raise
    except Exception as error:  # rasterio and GDAL raise nearly anything for a damaged file
        raise SceneError(f"cannot read {path}: {first_line(error)}; fetch it again") from error


def _is_inverted(dataset: DatasetReader) -> bool:
    """Whether a TIFF says that zero is white."""
    return dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"


def _list_bands(dataset: DatasetReader) -> list[Band]:
    grey = "gray" if dataset.count == 1 and _is_inverted(dataset) else "undefined"  # GDAL gives it no interpretation
    return [
        Band(index, grey if interpretation.name == "undefined" else interpretation.name, description or "", dtype)
        for index, interpretation, description, dtype in zip(
            dataset.indexes, dataset.colorinterp, dataset.descriptions, dataset.dtypes, strict=True
        )
    ]


def _palette(dataset: DatasetReader, selection: BandSelection) -> NDArray[np.uint8] | None:
    """Nx3 colour table of a single band of unsigned integers whose interpretation is `palette`; else None."""
    if len(selection.bands) != 1 or selection.bands[0].interpretation != "palette":
        return None
    if not np.issubdtype(selection.bands[0].dtype, np.unsignedinteger):
        return None
    try:
        table = dataset.colormap(selection.indexes[0])
    except ValueError:  # there is none, in spite of the interpretation
        return None
    colours = np.zeros((max(table, default=0) + 1, 3), np.uint8)
    for value, rgba in table.items():
        colours[value] = np.clip(rgba[:3], 0, 255)
    return colours


def _fit(dataset: DatasetReader, selection: BandSelection, mask: ValidMask, percent: tuple[float, float]) -> Stretch:
    return fit_stretch(*mask.sample(dataset, selection.indexes), percent)
