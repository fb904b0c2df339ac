"""Which bands of a raster become the red, green and blue of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.band_names import COLOURS, contradicts, find_colours, is_named_otherwise
from rsmoe_core.errors import UsageError

BY_POSITION = "by position"
"""Why bands are selected where nothing else says which."""


@dataclass(frozen=True)
class Band:
    """One band of a raster, as the file describes it."""

    index: int
    """Number in the file, from 1."""
    interpretation: str
    """GDAL's colour interpretation in lower case: red, gray, alpha, palette, undefined, ..."""
    description: str
    """Free text of the file, often empty."""
    dtype: str
    """Numpy name of the pixel type."""

    @property
    def name(self) -> str:
        """The name for messages and metadata."""
        return self.description or (self.interpretation if self.interpretation != "undefined" else f"band {self.index}")

    @property
    def is_displayable(self) -> bool:
        """Whether the band can be shown as a colour of an image."""
        return not self.is_alpha and not self.dtype.startswith("complex")

    @property
    def is_alpha(self) -> bool:
        """Whether it is called alpha, and not named otherwise: GDAL calls the fourth of four byte bands alpha."""
        return self.interpretation == "alpha" and not is_named_otherwise(self.description)


@dataclass(frozen=True)
class BandSelection:
    """The bands of the image, and how they were selected."""

    bands: tuple[Band, ...]
    """Red, green and blue; or a single band, which is shown in grey."""
    reason: str
    """Why these were selected."""
    is_doubtful: bool = False
    """Whether they may be the wrong ones: the user should look."""

    @property
    def indexes(self) -> tuple[int, ...]:
        """Band numbers in the file, from 1."""
        return tuple(band.index for band in self.bands)

    @property
    def note(self) -> str:
        """What the user should know about the selection; empty where it is not doubtful."""
        if not self.is_doubtful:
            return ""
        if self.reason == BY_POSITION:
            numbers = ", ".join(str(index) for index in self.indexes)
            return f"no band names its colour: using bands {numbers} by position; choose others with --bands"
        return (
            f"using bands {self} as red, green and blue, which is doubtful: {self.reason}; choose others with --bands"
        )

    @property
    def summary(self) -> str:
        """The bands and the reason, such as `bands 4,3,2 (the descriptions name the colours)`."""
        word = "band" if len(self.indexes) == 1 else "bands"
        return f"{word} {','.join(map(str, self.indexes))} ({self.reason})"

    @property
    def is_bytes(self) -> bool:
        """Whether all bands hold unsigned bytes."""
        return {band.dtype for band in self.bands} == {"uint8"}

    @property
    def interpretations(self) -> set[str]:
        """What GDAL takes the bands for."""
        return {band.interpretation for band in self.bands}

    @property
    def is_display_ready(self) -> bool:
        """Whether the bands hold 8-bit display colours, which need no contrast stretch."""
        is_grey = len(self.bands) == 1 and self.interpretations == {"gray"}
        return self.is_bytes and (self.interpretations <= set(COLOURS) or is_grey)

    def __str__(self) -> str:
        return ", ".join(f"{band.index} ({band.name})" for band in self.bands)


def parse_bands(text: str) -> tuple[int, ...]:
    """`3,2,1` or `8` → band numbers.

    Raises:
        UsageError: the text is not one or three whole numbers.
    """
    try:
        indexes = tuple(int(part) for part in text.split(","))
    except ValueError:
        indexes = ()
    if len(indexes) not in (1, 3):
        raise UsageError(f"bands '{text}' are not understood; write three band numbers (3,2,1) or one (8)")
    return indexes


def select_bands(bands: Sequence[Band], requested: tuple[int, ...] | None) -> BandSelection:
    """Selects the requested bands; else by description, then by colour interpretation, then by position.

    Interpretations come second because GDAL calls the first byte bands of a file red, green and blue by default.

    Raises:
        UsageError: a requested band does not exist or cannot be displayed.
        SceneError: no band can be displayed.
    """
    usable = {band.index: band for band in bands if band.is_displayable}
    if not usable:
        raise SceneError("has no usable band: every band is complex or an alpha mask; convert it to real values first")
    if requested is not None:
        return BandSelection(tuple(_find(index, usable) for index in requested), "--bands")
    first = tuple(usable.values())
    if named := find_colours([band.description for band in first]):
        return BandSelection(tuple(first[at] for at in named.positions), named.reason, named.is_doubtful)
    by_interpretation = {band.interpretation: band for band in reversed(first)}
    if all(colour in by_interpretation for colour in COLOURS):
        chosen = tuple(by_interpretation[colour] for colour in COLOURS)
        if any(contradicts(band.description, band.interpretation) for band in chosen):
            return BandSelection(chosen, "their descriptions name other bands than their colour interpretation", True)
        return BandSelection(chosen, "the file's colour interpretation")
    if len(first) == 1:
        return BandSelection(first, "the only band")
    return BandSelection(first[:3] if len(first) >= 3 else first[:1], BY_POSITION, True)


def _find(index: int, usable: dict[int, Band]) -> Band:
    if index not in usable:
        known = ", ".join(f"{band.index} ({band.name})" for band in usable.values())
        raise UsageError(f"there is no band {index} to display; choose from {known}")
    return usable[index]
