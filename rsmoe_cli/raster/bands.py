"""Which bands of a raster become red, green and blue."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rsmoe_cli.errors import SceneError
from rsmoe_core.errors import UsageError

_COLOURS = ("red", "green", "blue")
_SENTINEL_2 = {"b04": "red", "b03": "green", "b02": "blue"}
_LETTERS = {"r": "red", "g": "green", "b": "blue"}
_NOT_RED = {"edge", "infra"}


@dataclass(frozen=True)
class Band:
    """What a raster says about one of its bands."""

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
        """How the band is called in messages and metadata."""
        return self.description or (self.interpretation if self.interpretation != "undefined" else f"band {self.index}")

    @property
    def drawable(self) -> bool:
        """Whether the band can be a colour of a picture."""
        return self.interpretation != "alpha" and not self.dtype.startswith("complex")

    @property
    def colour(self) -> str | None:
        """Red, green or blue if the description says so, as in `B04 red`, `Red`, `r` or `B04`."""
        words = re.findall(r"[a-z0-9]+", self.description.lower())
        if not _NOT_RED.intersection(words):
            for colour in _COLOURS:
                if colour in words:
                    return colour
        if len(words) == 1:
            return _SENTINEL_2.get(words[0]) or _LETTERS.get(words[0])
        return None


@dataclass(frozen=True)
class BandSelection:
    """The bands that are drawn, and why these."""

    bands: tuple[Band, ...]
    """Red, green and blue; or one band that is drawn grey."""
    by_position: bool
    """True if nothing in the file names its colours, so that the first bands were taken."""

    @property
    def indexes(self) -> tuple[int, ...]:
        """Band numbers in the file, from 1."""
        return tuple(band.index for band in self.bands)

    @property
    def shown_as_stored(self) -> bool:
        """Whether these are 8-bit display colours, which are not stretched."""
        kinds = {band.interpretation for band in self.bands}
        grey_picture = len(self.bands) == 1 and kinds == {"gray"}
        return {band.dtype for band in self.bands} == {"uint8"} and (kinds <= set(_COLOURS) or grey_picture)

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


def choose_bands(bands: Sequence[Band], asked: tuple[int, ...] | None) -> BandSelection:
    """Takes the bands asked for; else by colour interpretation, then by description, then by position.

    Raises:
        UsageError: a band asked for does not exist or cannot be drawn.
        SceneError: no band can be drawn.
    """
    usable = {band.index: band for band in bands if band.drawable}
    if not usable:
        raise SceneError("has no usable band: every band is complex or an alpha mask; convert it to real values first")
    if asked is not None:
        return BandSelection(tuple(_named(index, usable) for index in asked), by_position=False)
    by_interpretation = {band.interpretation: band for band in reversed(list(usable.values()))}
    by_description = {band.colour: band for band in reversed(list(usable.values())) if band.colour}
    for named in (by_interpretation, by_description):
        if all(colour in named for colour in _COLOURS):
            return BandSelection(tuple(named[colour] for colour in _COLOURS), by_position=False)
    first = tuple(usable.values())
    return BandSelection(first[:3] if len(first) >= 3 else first[:1], by_position=len(first) > 1)


def _named(index: int, usable: dict[int, Band]) -> Band:
    if index not in usable:
        known = ", ".join(f"{band.index} ({band.name})" for band in usable.values())
        raise UsageError(f"there is no band {index} to draw; choose from {known}")
    return usable[index]
