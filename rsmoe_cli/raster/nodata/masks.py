"""Which pixels of a raster are valid: nodata values, fill, alpha, mask bands and NaN combined into one boolean mask."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from rsmoe_cli.raster.bands import BandSelection
from rsmoe_cli.raster.dataset import patch_windows, read_bands, read_errors, sample_windows
from rsmoe_cli.raster.nodata.fill import Fill
from rsmoe_cli.raster.nodata.lossy_collars import LOSSY_MARGIN, lossy_collar
from rsmoe_core.fill import is_value

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_ALPHA_SHARE = 0.95
"""Share of fully transparent and fully opaque pixels from which a band called alpha is taken for a mask."""

_SMALL_PATCH = 16
"""Side of the patches that represent a raster with a damaged block, in pixels."""


@dataclass(frozen=True)
class ValidMask:
    """How the valid pixels of a scene are found."""

    masked_bands: tuple[int, ...]
    """Bands whose own mask (nodata or mask band) is read; empty if the file has none."""
    alpha: int | None
    """Band that is an alpha mask; a pixel is valid where it is above 0."""
    every_band: bool
    """Whether a pixel is invalid as soon as one of its bands is; otherwise only if all are.

    In unsigned types the nodata value (0 or 255) is an ordinary brightness too: a pixel with red and without blue is
    valid.
    """
    finite_bands: tuple[int, ...]
    """Floating point bands, whose NaN and infinite pixels are invalid."""
    value_bands: tuple[int, ...] = ()
    """Bands in which values are looked for that the file does not declare as nodata."""
    nodata: tuple[float, ...] = ()
    """Values that are no data in any of these bands; as declared ones, `every_band` applies to them."""
    fill: tuple[tuple[float, ...], ...] = ()
    """Values of all these bands that together are no data: the colours of collars."""
    lossy_fill: tuple[tuple[float, ...], ...] = ()
    """Colours of collars whose edges are noisy."""
    is_alpha_ignored: bool = False
    """Whether a band is no mask although GDAL takes it for one."""

    @property
    def is_gdals(self) -> bool:
        """Whether GDAL takes the same pixels for invalid, so that its averages leave them out."""
        return not (self.finite_bands or self.has_undeclared or self.is_alpha_ignored)

    @property
    def has_undeclared(self) -> bool:
        """Whether values are no data that the file does not declare."""
        return bool(self.nodata or self.fill or self.lossy_fill)

    @property
    def source(self) -> str:
        """What decides about validity, for the metadata."""
        undeclared = [f"{value:g}" for value in self.nodata]
        undeclared += [str(Fill(values, 0, is_far=False)) for values in (*self.fill, *self.lossy_fill)]
        parts = [
            "nodata or mask band" if self.masked_bands else "",
            f"alpha band {self.alpha}" if self.alpha else "",
            "finite values" if self.finite_bands else "",
            *(f"undeclared nodata {value}" for value in undeclared),
        ]
        return ", ".join(part for part in parts if part) or "every pixel"

    def read(
        self, dataset: DatasetReader, window: Window, out_shape: tuple[int, int] | None = None
    ) -> NDArray[np.bool_]:
        """HxW mask of a window, true where valid; `out_shape` samples the nearest pixels on a coarser grid.

        Raises:
            rasterio.errors.RasterioIOError: the pixels cannot be read.
        """
        shape = out_shape or (int(window.height), int(window.width))

        def options(bands: tuple[int, ...]) -> dict[str, Any]:
            return {"indexes": list(bands), "window": window, "out_shape": (len(bands), *shape)}

        valid = np.ones(shape, bool)
        if self.masked_bands:
            with read_errors():
                masks = dataset.read_masks(**options(self.masked_bands)) > 0
            valid &= masks.all(axis=0) if self.every_band else masks.any(axis=0)
        if self.alpha:
            valid &= read_bands(dataset, **options((self.alpha,)))[0] > 0
        if self.finite_bands:
            valid &= np.isfinite(read_bands(dataset, **options(self.finite_bands))).all(axis=0)
        if self.has_undeclared:
            valid &= ~self._read_undeclared(dataset, window, shape)
        return valid

    def _read_undeclared(self, dataset: DatasetReader, window: Window, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """As `is_undeclared`, of a window. Pixels around it decide whether its own are noise beside a collar."""
        is_full = shape == (window.height, window.width)
        margin = LOSSY_MARGIN if self.lossy_fill and is_full else 0
        left, top = max(0, int(window.col_off) - margin), max(0, int(window.row_off) - margin)
        right = min(dataset.width, int(window.col_off + window.width) + margin)
        bottom = min(dataset.height, int(window.row_off + window.height) + margin)
        values = read_bands(
            dataset,
            self.value_bands,
            window=Window(left, top, right - left, bottom - top),
            out_shape=(len(self.value_bands), *((bottom - top, right - left) if is_full else shape)),
        )
        found = self.is_undeclared(values, shape[1] / window.width)
        return found[int(window.row_off) - top :, int(window.col_off) - left :][: shape[0], : shape[1]]

    def sample(self, dataset: DatasetReader, bands: Sequence[int]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """CxN values of N pixels that represent the raster, and whether each is valid.

        Where a block is damaged, these are the pixels of small patches that can be read.

        Raises:
            rasterio.errors.RasterioIOError: none can.
        """

        def read(window: Window, shape: tuple[int, int]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
            values = read_bands(dataset, bands, window=window, out_shape=(len(bands), *shape))
            return values.reshape(len(bands), -1), self.read(dataset, window, shape).ravel()

        parts = []
        try:
            parts = [read(window, shape) for window, shape in sample_windows(dataset)]
        except RasterioIOError:
            for window, shape in patch_windows(dataset, _SMALL_PATCH):
                with suppress(RasterioIOError):
                    parts.append(read(window, shape))
            if not parts:
                raise
        values, valid = zip(*parts, strict=True)
        return np.concatenate(values, axis=1), np.concatenate(valid)

    def is_undeclared(self, values: NDArray[Any], scale: float = 1.0) -> NDArray[np.bool_]:
        """HxW, true where CxHxW values of `value_bands` are no data that the file does not declare.

        `scale` is the number of these pixels for each pixel of the raster, along a side.
        """
        missing = np.zeros(values.shape[1:], bool)
        for value in self.nodata:
            same = is_value(values, value)
            missing |= same.any(axis=0) if self.every_band else same.all(axis=0)
        for colour in self.fill:
            missing |= np.all([is_value(band, value) for band, value in zip(values, colour, strict=True)], axis=0)
        for colour in self.lossy_fill:
            missing |= lossy_collar(values, colour, scale)
        return missing

    def without(self, nodata: Sequence[float], fills: Sequence[Fill] = ()) -> ValidMask:
        """The same mask, with values that are no data although the file does not declare them."""
        return replace(
            self,
            nodata=(*self.nodata, *nodata, *(fill.values[0] for fill in fills if fill.is_far)),
            fill=(*self.fill, *(fill.values for fill in fills if not fill.is_far and not fill.is_lossy)),
            lossy_fill=(*self.lossy_fill, *(fill.values for fill in fills if fill.is_lossy)),
        )


def find_mask(dataset: DatasetReader, selection: BandSelection, alpha: int | None) -> ValidMask:
    """The mask of the selected bands; `alpha` is the number of a band that is known to be an alpha mask."""
    flags = [dataset.mask_flag_enums[index - 1] for index in selection.indexes]
    if any(MaskFlags.nodata in flag for flag in flags):
        masked_bands = selection.indexes
    elif any(MaskFlags.per_dataset in flag and MaskFlags.alpha not in flag for flag in flags):
        masked_bands = selection.indexes[:1]
    else:
        masked_bands = ()
    return ValidMask(
        masked_bands=masked_bands,
        alpha=alpha,
        every_band=not all(np.issubdtype(band.dtype, np.unsignedinteger) for band in selection.bands),
        finite_bands=tuple(band.index for band in selection.bands if np.issubdtype(band.dtype, np.floating)),
        value_bands=selection.indexes,
        is_alpha_ignored=alpha is None and any(MaskFlags.alpha in flag for flag in flags),
    )


def is_alpha(values: NDArray[Any]) -> bool:
    """Whether sample values of a band called alpha are an alpha mask: nearly all fully transparent or fully opaque.

    Four-band aerial images are often tagged red, green, blue, alpha although the fourth band is near infrared.
    """
    opaque = np.iinfo(values.dtype).max if np.issubdtype(values.dtype, np.integer) else values.max(initial=0)
    return bool(np.mean((values == 0) | (values == opaque)) >= _ALPHA_SHARE)
