"""What the engine said about each tile, and the things it found there, each once in the scene. Pure arithmetic.

Heard, Heard, ... ──▶ things_of ──▶ Thing, Thing, ... in scene pixels
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rsmoe_cli.tiles.grid import Tile
from rsmoe_core.types import Answer


@dataclass(frozen=True)
class Heard:
    """What the engine said about one tile, and how much of the scene that speaks for."""

    tile: Tile
    answer: Answer
    side: int
    """Pixels a side of the picture that the engine was given: the tile's size, or less."""
    own_valid_pixels: int
    """Valid scene pixels that the tile owns."""
    own_share: float
    """Their share of all valid pixels under the tile, 0-1."""

    @property
    def confidence(self) -> float:
        """Probability that the answer is right; one half if the engine does not say."""
        return self.answer.confidence if math.isfinite(self.answer.confidence) else 0.5

    @property
    def weight(self) -> float:
        """What its voice weighs: the ground it owns, times its confidence; never nothing."""
        return max(1, self.own_valid_pixels) * max(1e-3, self.confidence)

    def finds(self, thing: str) -> bool:
        """Whether the engine said where such things are."""
        return any(found.thing == thing for found in self.answer.found)


@dataclass(frozen=True)
class Thing:
    """One thing in a scene."""

    thing: str
    """Its name in the singular."""
    x: float
    """Scene pixels from the left edge to its centre."""
    y: float
    """Likewise from the top edge."""
    confidence: float
    """Probability that it is one, 0-1."""
    reach: float
    """Scene pixels within which no second one of its kind can have its centre."""
    tile: Tile
    """The tile that sees it best."""
    spread: float = 0.0
    """How far counts of such things are off in whole scenes; see `rsmoe_core.types.Found`."""

    @property
    def owned(self) -> bool:
        """Whether its centre lies in what its tile owns."""
        return self.outside == 0

    @property
    def outside(self) -> float:
        """How far its centre lies outside of what its tile owns, in scene pixels along an axis."""
        left, top, width, height = self.tile.own
        return max(left - self.x, self.x - (left + width), top - self.y, self.y - (top + height), 0)


def things_of(heard: Iterable[Heard]) -> list[Thing]:
    """Everything that was found, each thing once, the surest first.

    A tile speaks for what it owns. Beyond that it is believed as far as a thing's reach: neighbours see a thing on the
    seam at slightly different places, and each might take it for the other's. What two tiles found of one kind within
    its reach is one thing seen twice, and the surer sight of it stays.
    """
    sights = [sight for one in heard for sight in _sights(one) if sight.outside <= sight.reach]
    once = _Once(max((sight.reach for sight in sights), default=0.0))
    for sight in sorted(sights, key=lambda sight: (-sight.confidence, not sight.owned)):
        once.add(sight)
    return once.things


def _sights(heard: Heard) -> Iterator[Thing]:
    """What was found in a tile, in scene pixels."""
    tile, scale = heard.tile, heard.tile.size / heard.side
    for found in heard.answer.found:
        x, y = tile.x + found.x * scale, tile.y + found.y * scale
        yield Thing(found.thing, x, y, found.confidence, found.reach * scale, tile, found.spread)


class _Once:
    """Things that are kept once, in cells as wide as the longest reach, so that only neighbours are searched."""

    def __init__(self, longest_reach: float) -> None:
        self.things: list[Thing] = []
        self._seen_by: list[set[str]] = []
        self._cells: dict[tuple[str, int, int], list[int]] = defaultdict(list)
        self._side = max(1.0, longest_reach)

    def add(self, sight: Thing) -> None:
        """Keeps a sight, unless another tile's sight of the same thing is there already."""
        col, row = int(sight.x // self._side), int(sight.y // self._side)
        twins = [
            (distance, index)
            for cell_row in (row - 1, row, row + 1)
            for cell_col in (col - 1, col, col + 1)
            for index in self._cells.get((sight.thing, cell_col, cell_row), ())
            if (distance := self._distance(sight, index)) <= max(sight.reach, self.things[index].reach)
            and sight.tile.id not in self._seen_by[index]  # a tile tells its own things apart
        ]
        if twins:
            self._seen_by[min(twins)[1]].add(sight.tile.id)
            return
        self._cells[sight.thing, col, row].append(len(self.things))
        self.things.append(sight)
        self._seen_by.append({sight.tile.id})

    def _distance(self, sight: Thing, index: int) -> float:
        kept = self.things[index]
        return math.hypot(sight.x - kept.x, sight.y - kept.y)
