"""Locations in words: where something is in an image, on a grid of three by three cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_CELLS = (
    ("upper left", "top", "upper right"),
    ("left", "center", "right"),
    ("lower left", "bottom", "lower right"),
)
_OFFSETS = {"upper": -1, "top": -1, "lower": 1, "bottom": 1}, {"left": -1, "right": 1}
"""Word → rows, and columns, from the center."""
_LOCATION_WORDS = {"center", "centre", "middle", *_OFFSETS[0], *_OFFSETS[1]}
_MAX_CELLS = 3


def word(x: float, y: float, width: float, height: float) -> str:
    """The cell of an image that a point is in; a point outside belongs to the nearest cell."""
    row, column = (min(2, max(0, int(3 * offset / extent))) for offset, extent in ((y, height), (x, width)))
    return _CELLS[row][column]


def words(points: Iterable[tuple[float, float]], width: float, height: float) -> list[str]:
    """The cells of an image that points are in, starting with the one that has most of them."""
    return [name for name, _ in Counter(word(x, y, width, height) for x, y in points).most_common()]


def where(points: Iterable[tuple[float, float]], width: float, height: float) -> str:
    """The three cells that have most of the points: "upper left, center"."""
    return ", ".join(words(points, width, height)[:_MAX_CELLS])


def middle_of(text: str) -> tuple[float, float] | None:
    """The centre of a cell that is named in words, as shares of the image's width and height.

    None if the text does not name a cell.
    """
    named = re.findall(r"[a-z]+", text.lower())
    if not _LOCATION_WORDS.intersection(named):
        return None
    down, right = (next((offsets[name] for name in named if name in offsets), 0) for offsets in _OFFSETS)
    return 0.5 + right / 3, 0.5 + down / 3
