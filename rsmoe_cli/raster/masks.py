"""Which pixels of a raster were really observed: nodata, alpha, mask bands and NaN become one answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from rsmoe_cli.raster.bands import BandSelection
from rsmoe_cli.raster.dataset import damaged_pixels, read_bands

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_ALPHA_SHARE = 0.95


@dataclass(frozen=True)
class ValidMask:
    """How the valid pixels of a scene are found."""

    masked_bands: tuple[int, ...]
    """Bands whose own mask (nodata or mask band) is read; empty if the file has none."""
    alpha: int | None
    """Band that is an alpha mask; a pixel is valid where it is above 0."""
    every_band: bool
    """A pixel is invalid as soon as one of its bands is. Otherwise only if all are: in unsigned types the nodata value
    (0 or 255) is an ordinary brightness too, and a pixel with some red and no blue is no hole in the picture."""
    finite_bands: tuple[int, ...]
    """Floating point bands, whose NaN and infinite pixels are invalid."""

    @property
    def source(self) -> str:
        """Where validity comes from, in words for the metadata."""
        parts = [
            "nodata or mask band" if self.masked_bands else "",
            f"alpha band {self.alpha}" if self.alpha else "",
            "finite values" if self.finite_bands else "",
        ]
        return ", ".join(part for part in parts if part) or "every pixel"

    @property
    def always_valid(self) -> bool:
        """True if no pixel of the scene can be invalid, so that nothing needs reading."""
        return not (self.masked_bands or self.alpha or self.finite_bands)

    def read(
        self, dataset: DatasetReader, window: Window, out_shape: tuple[int, int] | None = None
    ) -> NDArray[np.bool_]:
        """HxW mask of a window, true where valid; `out_shape` takes the nearest pixels of a smaller grid."""
        shape = out_shape or (int(window.height), int(window.width))

        def stacked(bands: tuple[int, ...]) -> dict[str, Any]:
            return {"indexes": list(bands), "window": window, "out_shape": (len(bands), *shape)}

        valid = np.ones(shape, bool)
        if self.masked_bands:
            with damaged_pixels():
                masks = dataset.read_masks(**stacked(self.masked_bands)) > 0
            valid &= masks.all(axis=0) if self.every_band else masks.any(axis=0)
        if self.alpha:
            valid &= read_bands(dataset, **stacked((self.alpha,)))[0] > 0
        if self.finite_bands:
            valid &= np.isfinite(read_bands(dataset, **stacked(self.finite_bands))).all(axis=0)
        return valid


def find_mask(dataset: DatasetReader, choice: BandSelection, alpha: int | None) -> ValidMask:
    """The mask of the chosen bands; `alpha` is a band that is known to be a true alpha mask."""
    flags = [dataset.mask_flag_enums[index - 1] for index in choice.indexes]
    if any(MaskFlags.nodata in flag for flag in flags):
        masked_bands = choice.indexes
    elif any(MaskFlags.per_dataset in flag and MaskFlags.alpha not in flag for flag in flags):
        masked_bands = choice.indexes[:1]
    else:
        masked_bands = ()
    return ValidMask(
        masked_bands=masked_bands,
        alpha=alpha,
        every_band=not all(np.issubdtype(band.dtype, np.unsignedinteger) for band in choice.bands),
        finite_bands=tuple(band.index for band in choice.bands if np.issubdtype(band.dtype, np.floating)),
    )


def is_alpha(sample: NDArray[Any]) -> bool:
    """Whether sample values of a band called alpha are an alpha mask: nearly all fully clear or fully opaque.

    Four-band aerial photographs are often tagged red, green, blue, alpha although the fourth band is near infrared.
    """
    opaque = np.iinfo(sample.dtype).max if np.issubdtype(sample.dtype, np.integer) else sample.max(initial=0)
    return bool(np.mean((sample == 0) | (sample == opaque)) >= _ALPHA_SHARE)
