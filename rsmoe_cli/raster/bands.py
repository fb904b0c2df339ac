"""Which bands of a raster become the red, green and blue of an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rsmoe_cli.errors import SceneError
from rsmoe_core.errors import UsageError

_COLOURS = ("red", "green", "blue")
_SENTINEL_2 = {"b04": "red", "b03": "green", "b02": "blue"}
_LETTERS = {"r": "red", "g": "green", "b": "blue"}
_NOT_VISIBLE = {"edge", "infra"}
"""Words that occur next to a colour in the names of other bands: `red edge`, `infra red`."""


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
        return self.interpretation != "alpha" and not self.dtype.startswith("complex")

    @property
    def colour(self) -> str | None:
        """Red, green or blue if the description says so, as in `B04 red`, `Red`, `r` or `B04`."""
        words = re.findall(r"[a-z0-9]+", self.description.lower())
        if not _NOT_VISIBLE.intersection(words):
            for colour in _COLOURS:
                if colour in words:
                    return colour
        if len(words) == 1:
            return _SENTINEL_2.get(words[0]) or _LETTERS.get(words[0])
        return None


@dataclass(frozen=True)
class BandSelection:
    """The bands of the image, and how they were selected."""

    bands: tuple[Band, ...]
    """Red, green and blue; or a single band, which is shown in grey."""
    by_position: bool
    """True if nothing in the file names its colours, so that the first bands were taken."""

    @property
    def indexes(self) -> tuple[int, ...]:
        """Band numbers in the file, from 1."""
        return tuple(band.index for band in self.bands)

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
        return self.is_bytes and (self.interpretations <= set(_COLOURS) or is_grey)

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
    """Selects the requested bands; else by colour interpretation, then by description, then by position.

    Raises:
        UsageError: a requested band does not exist or cannot be displayed.
        SceneError: no band can be displayed.
    """
    usable = {band.index: band for band in bands if band.is_displayable}
    if not usable:
        raise SceneError("has no usable band: every band is complex or an alpha mask; convert it to real values first")
    if requested is not None:
        return BandSelection(tuple(_find(index, usable) for index in requested), by_position=False)
    by_interpretation = {band.interpretation: band for band in reversed(list(usable.values()))}
    by_description = {band.colour: band for band in reversed(list(usable.values())) if band.colour}
    for by_colour in (by_interpretation, by_description):
        if all(colour in by_colour for colour in _COLOURS):
            return BandSelection(tuple(by_colour[colour] for colour in _COLOURS), by_position=False)
    first = tuple(usable.values())
    return BandSelection(first[:3] if len(first) >= 3 else first[:1], by_position=len(first) > 1)


def _find(index: int, usable: dict[int, Band]) -> Band:
    if index not in usable:
        known = ", ".join(f"{band.index} ({band.name})" for band in usable.values())
        raise UsageError(f"there is no band {index} to display; choose from {known}")
    return usable[index]
