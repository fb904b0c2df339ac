"""Kinds of ground in a window of a satellite scene → its kind of place and sentences about it.

Somebody looked at the scene and wrote down what kind of ground each part of it is; a window shows several, each with
its share of the area. Water comes first, because it is what people name first in such pictures.

A coarse map of a satellite scene: what kind of ground somebody saw in each of its square cells.

    {"cell": 64,
     "kinds": {"S": "sea", "R": "dense residential area", ...},
     "scenes": {"algiers": ["SSSS", "RRSS", ...], ...}}

`cell` is the side of a cell in pixels of the scene; each text is a row of cells, from the top, one letter a cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.formats.common import load
from rsmoe_core.data.templates import counted, sea_sentences
from rsmoe_core.errors import DataError
from rsmoe_core.words.grammar import article

# Kind of land → what is said of a window that shows little else.
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
# Kind of place that is more than its ground → what is said of it, of what lies beside it and of ships.
_PLACES: dict[str, tuple[str, str, str]] = {
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
_WITH_MORE = ("{place} is next to {beside} .", "{place} and {beside} are next to each other .")
KINDS = ("airport", "beach", "port", "river", "sea", *_LAND)
"""What ground may be."""

_OPEN_SEA = 0.9
# A window is of the first kind of which it shows this much, else of the kind of land of which it shows most.
_ENOUGH = {"port": 0.25, "airport": 0.2, "beach": 0.1, "river": 0.25}
_COAST = 0.15
_NAMED = 0.15
"""The share from which another kind of ground is named too."""


@dataclass(frozen=True)
class Ground:
    """What a window shows."""

    shares: Mapping[str, float]
    """Kind of ground, of `KINDS` → its share of the area; together 1."""
    ships: int


def ground_scene(ground: Ground) -> str:
    """The kind of place."""
    sea = ground.shares.get("sea", 0.0)
    if sea >= _OPEN_SEA:
        return "sea"
    for kind, enough in _ENOUGH.items():
        if ground.shares.get(kind, 0.0) >= enough:
            return kind
    land = {kind: share for kind, share in ground.shares.items() if kind in _LAND}
    return "coast" if sea >= _COAST or not land else max(land, key=lambda kind: land[kind])


def ground_sentences(ground: Ground) -> list[str]:
    """Two or three sentences with the kind of place, what else there is much of and, at the water, how many ships."""
    scene = ground_scene(ground)
    if scene == "sea":
        return sea_sentences(ground.ships)
    named = _beside(ground, scene)
    if scene in _LAND and not named:
        return list(_LAND[scene])
    rest = "the sea" if scene not in ("beach", "coast") and ground.shares.get("sea", 0.0) >= _NAMED else "the land"
    said = _PLACES.get(scene) or (_LAND[scene][0], *_WITH_MORE)
    words = {
        "place": _one(scene),
        "beside": " and ".join(named) or rest,
        "verb": "are" if len(named) > 1 else "is",
        "ships": f" with {counted(ground.ships, 'ship')}" if ground.ships else "",
    }
    return [sentence.format(**words) for sentence in said[: 3 if named else 2]]


def _beside(ground: Ground, scene: str) -> list[str]:
    """What lies beside the place, but for the sea: at most two kinds of ground, that with most first."""
    others = sorted(
        ((share, kind) for kind, share in ground.shares.items() if kind not in ("sea", scene)), reverse=True
    )
    return [_one(kind) for share, kind in others if share >= _NAMED][:2]


def _one(kind: str) -> str:
    """ "an industrial area", "some farmland"."""
    return f"some {kind}" if kind in ("bare land", "farmland") else f"{article(kind)} {kind}"


@dataclass(frozen=True)
class GroundMap:
    """The ground of one scene."""

    cell: int
    """Side of a cell, in pixels of the scene."""
    rows: Sequence[Sequence[str]]
    """Kinds of ground, of `ground.KINDS`, from the top left; all rows are equally long."""

    def covers(self, height: int, width: int) -> bool:
        """Whether it has just the cells of a scene of so many pixels."""
        return (len(self.rows), len(self.rows[0])) == (-(-height // self.cell), -(-width // self.cell))

    def shares(self, top: int, left: int, side: int) -> Mapping[str, float]:
        """Kind of ground → its share of a square window of the scene, all in pixels."""
        down, right = self._reach(top, side, len(self.rows)), self._reach(left, side, len(self.rows[0]))
        found: dict[str, float] = defaultdict(float)
        for row, high in zip(self.rows, down, strict=True):
            for kind, wide in zip(row, right, strict=True):
                if high and wide:
                    found[kind] += float(high * wide)
        return {kind: area / sum(found.values()) for kind, area in found.items()}

    def _reach(self, start: int, side: int, cells: int) -> NDArray[np.int64]:
        """How many pixels of the window lie in each row, or column, of cells."""
        edges = np.clip(np.arange(cells + 1) * self.cell, start, start + side)
        return np.diff(edges)


def read_ground_maps(table: Path) -> dict[str, GroundMap]:
    """Name of a scene → its map. Raises DataError where the file is not as above."""
    cell, kinds, scenes = (load(table, key) for key in ("cell", "kinds", "scenes"))
    if not (type(cell) is int and cell > 0):
        raise DataError(f"{table}: 'cell' is no number of pixels: {cell!r}")
    if not isinstance(kinds, dict) or not isinstance(scenes, dict):
        raise DataError(f"{table}: 'kinds' and 'scenes' have to be objects")
    if unknown := [kind for kind in kinds.values() if kind not in KINDS]:
        raise DataError(f"{table}: no kind of ground is called {unknown[0]!r}; choose from: {', '.join(sorted(KINDS))}")
    return {name: GroundMap(cell, _rows(f"{table}: {name}", rows, kinds)) for name, rows in scenes.items()}


def _rows(place: str, rows: object, kinds: Mapping[str, str]) -> list[list[str]]:
    if not (isinstance(rows, list) and rows and all(isinstance(row, str) and row for row in rows)):
        raise DataError(f"{place}: expected a list of rows, one text each")
    if len({len(row) for row in rows}) > 1:
        raise DataError(f"{place}: its rows are not equally long")
    if unknown := sorted(set("".join(rows)) - kinds.keys()):
        raise DataError(f"{place}: '{unknown[0]}' is none of the letters in 'kinds'")
    return [[kinds[letter] for letter in row] for row in rows]
