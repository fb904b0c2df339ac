"""Places in words: where in a picture something is, in a grid of three by three."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_WORDS = (
    ("upper left", "top", "upper right"),
    ("left", "center", "right"),
    ("lower left", "bottom", "lower right"),
)
_TOWARDS = {"upper": -1, "top": -1, "lower": 1, "bottom": 1}, {"left": -1, "right": 1}
_SOMEWHERE = {"center", "centre", "middle", *_TOWARDS[0], *_TOWARDS[1]}


def word(x: float, y: float, width: float, height: float) -> str:
    """The part of a picture in which a point lies; a point outside belongs to the part that is nearest."""
    row, col = (min(2, max(0, int(3 * place / extent))) for place, extent in ((y, height), (x, width)))
    return _WORDS[row][col]


def words(points: Iterable[tuple[float, float]], width: float, height: float) -> list[str]:
    """The parts of a picture in which points lie, that with most of them first."""
    return [name for name, _ in Counter(word(x, y, width, height) for x, y in points).most_common()]


def middle_of(text: str) -> tuple[float, float] | None:
    """Where the middle of a part that is named in words lies, as shares of the picture's width and height.

    None if the text names no part.
    """
    said = re.findall(r"[a-z]+", text.lower())
    if not _SOMEWHERE.intersection(said):
        return None
    down, right = (next((towards[name] for name in said if name in towards), 0) for towards in _TOWARDS)
    return 0.5 + right / 3, 0.5 + down / 3
