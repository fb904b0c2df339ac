"""Land cover of satellite scenes: maps, and the scene class and captions of a window.

A window of a scene shows several land-cover classes, each with its share of the area. Water comes first in captions,
because it is what people name first in such images. A map gives the class of each square cell of a scene:

    {"cell": 64,
     "classes": {"S": "sea", "R": "dense residential area", ...},
     "scenes": {"algiers": ["SSSS", "RRSS", ...], ...}}

`cell` is the side of a cell in pixels of the scene. Each string is a row of cells, from the top, one letter per cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.formats.common import load
from rsmoe_core.data.templates import sea_sentences
from rsmoe_core.errors import DataError
from rsmoe_core.words.grammar import article, counted

# Class → captions of a window that shows little else.
_LAND: dict[str, tuple[str, str, str]] = {
    "bare land": (
        "it is a piece of bare land .",
        "a large piece of bare land with some roads .",
        "some roads are on the bare land .",
    ),
    "dense residential area": (
        "many buildings are in a dense residential area .",
        "many buildings and roads are in a dense residential area .",
        "a dense residential area with many buildings and several roads .",
    ),
    "farmland": (
        "it is a piece of farmland .",
        "many pieces of farmland are next to each other .",
        "the farmland is divided into rectangular pieces .",
    ),
    "forest": (
        "many green trees are in a forest .",
        "it is a piece of green forest .",
        "dense green trees are in a large piece of forest .",
    ),
    "industrial area": (
        "many large buildings are in an industrial area .",
        "an industrial area with many large buildings and roads .",
        "many buildings with flat roofs are in an industrial area .",
    ),
    "medium residential area": (
        "many houses and green trees are in a medium residential area .",
        "a medium residential area with many houses and some green trees .",
        "many houses among green trees are in a medium residential area .",
    ),
    "park": (
        "many green trees and grass are in a park .",
        "it is a part of a park with green grass .",
        "a park with green grass and some trees .",
    ),
}
# Class that is named with its surroundings and ships → captions.
_WITH_SURROUNDINGS: dict[str, tuple[str, str, str]] = {
    "airport": (
        "an airport with a long runway is near {beside} .",
        "the runway of an airport is next to {beside} .",
        "{beside} {verb} near an airport .",
    ),
    "beach": (
        "a beach is between the sea{ships} and {beside} .",
        "waves of the sea{ships} wash the beach near {beside} .",
        "{beside} {verb} next to a beach at the sea{ships} .",
    ),
    "coast": (
        "{beside} {verb} near the sea{ships} .",
        "{beside} {verb} on the coast beside the ocean{ships} .",
        "the coast with {beside} is next to the sea{ships} .",
    ),
    "port": (
        "a port{ships} is near {beside} .",
        "the docks of a port{ships} are next to {beside} .",
        "{beside} {verb} near a port{ships} .",
    ),
    "river": (
        "a river{ships} goes through {beside} .",
        "{beside} {verb} on two sides of a river{ships} .",
        "a river{ships} is next to {beside} .",
    ),
}
_TWO_CLASSES = ("{scene_class} is next to {beside} .", "{scene_class} and {beside} are next to each other .")
CLASSES = ("airport", "beach", "port", "river", "sea", *_LAND)
"""The land-cover classes."""

_OPEN_SEA = 0.9
# A window belongs to the first class that has at least this share of it, else to the land class with the largest share.
_MIN_SHARES = {"port": 0.25, "airport": 0.2, "beach": 0.1, "river": 0.25}
_COAST = 0.15
_MENTIONED = 0.15
"""Share from which another class is mentioned too."""


@dataclass(frozen=True)
class LandCover:
    """The land cover of a window, and its ships."""

    shares: Mapping[str, float]
    """Class, of `CLASSES` → its share of the area; they add up to 1."""
    ships: int


def land_cover_scene_class(land_cover: LandCover) -> str:
    """The scene class of a window."""
    sea = land_cover.shares.get("sea", 0.0)
    if sea >= _OPEN_SEA:
        return "sea"
    for name, min_share in _MIN_SHARES.items():
        if land_cover.shares.get(name, 0.0) >= min_share:
            return name
    land = {name: share for name, share in land_cover.shares.items() if name in _LAND}
    return "coast" if sea >= _COAST or not land else max(land, key=lambda name: land[name])


def land_cover_sentences(land_cover: LandCover) -> list[str]:
    """Two or three captions with the scene class, other classes with large shares and, at the water, the ships."""
    scene_class = land_cover_scene_class(land_cover)
    if scene_class == "sea":
        return sea_sentences(land_cover.ships)
    named = _beside(land_cover, scene_class)
    if scene_class in _LAND and not named:
        return list(_LAND[scene_class])
    mentions_sea = scene_class not in ("beach", "coast") and land_cover.shares.get("sea", 0.0) >= _MENTIONED
    templates = _WITH_SURROUNDINGS.get(scene_class) or (_LAND[scene_class][0], *_TWO_CLASSES)
    words = {
        "scene_class": _with_article(scene_class),
        "beside": " and ".join(named) or ("the sea" if mentions_sea else "the land"),
        "verb": "are" if len(named) > 1 else "is",
        "ships": f" with {counted(land_cover.ships, 'ship')}" if land_cover.ships else "",
    }
    return [sentence.format(**words) for sentence in templates[: 3 if named else 2]]


def _beside(land_cover: LandCover, scene_class: str) -> list[str]:
    """The classes to mention beside the scene class, without the sea: at most two, largest share first."""
    others = sorted(
        ((share, name) for name, share in land_cover.shares.items() if name not in ("sea", scene_class)), reverse=True
    )
    return [_with_article(name) for share, name in others if share >= _MENTIONED][:2]


def _with_article(name: str) -> str:
    """ "an industrial area", "some farmland"."""
    return f"some {name}" if name in ("bare land", "farmland") else f"{article(name)} {name}"


@dataclass(frozen=True)
class LandCoverMap:
    """The land cover of one scene."""

    cell: int
    """Side of a cell, in pixels of the scene."""
    rows: Sequence[Sequence[str]]
    """The class of each cell, of `CLASSES`, from the top left; all rows have the same length."""

    def covers(self, height: int, width: int) -> bool:
        """Whether it has exactly the cells of a scene of this size in pixels."""
        return (len(self.rows), len(self.rows[0])) == (-(-height // self.cell), -(-width // self.cell))

    def shares(self, top: int, left: int, side: int) -> Mapping[str, float]:
        """Class → its share of a square window of the scene, which is given in pixels."""
        down, right = self._overlaps(top, side, len(self.rows)), self._overlaps(left, side, len(self.rows[0]))
        areas: dict[str, float] = defaultdict(float)
        for row, high in zip(self.rows, down, strict=True):
            for name, wide in zip(row, right, strict=True):
                if high and wide:
                    areas[name] += float(high * wide)
        return {name: area / sum(areas.values()) for name, area in areas.items()}

    def _overlaps(self, start: int, side: int, cells: int) -> NDArray[np.int64]:
        """Number of pixels of the window in each row, or column, of cells."""
        edges = np.clip(np.arange(cells + 1) * self.cell, start, start + side)
        return np.diff(edges)


def read_land_cover_maps(file: Path) -> dict[str, LandCoverMap]:
    """Name of a scene → its map.

    Raises:
        DataError: the file is not in the layout above.
    """
    cell, classes, scenes = (load(file, key) for key in ("cell", "classes", "scenes"))
    if not (type(cell) is int and cell > 0):
        raise DataError(f"{file}: 'cell' is not a number of pixels: {cell!r}")
    if not isinstance(classes, dict) or not isinstance(scenes, dict):
        raise DataError(f"{file}: 'classes' and 'scenes' have to be objects")
    if unknown := [name for name in classes.values() if name not in CLASSES]:
        raise DataError(f"{file}: no land-cover class {unknown[0]!r}; choose from: {', '.join(sorted(CLASSES))}")
    return {name: LandCoverMap(cell, _rows(f"{file}: {name}", rows, classes)) for name, rows in scenes.items()}


def _rows(position: str, rows: object, classes: Mapping[str, str]) -> list[list[str]]:
    if not (isinstance(rows, list) and rows and all(isinstance(row, str) and row for row in rows)):
        raise DataError(f"{position}: expected a list of rows, one string each")
    if len({len(row) for row in rows}) > 1:
        raise DataError(f"{position}: its rows differ in length")
    if unknown := sorted(set("".join(rows)) - classes.keys()):
        raise DataError(f"{position}: '{unknown[0]}' is none of the letters in 'classes'")
    return [[classes[letter] for letter in row] for row in rows]
