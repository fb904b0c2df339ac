"""What the engine said about each tile, and the things it found there, each once in the scene. Pure arithmetic.

TileAnswer, TileAnswer, ... ──▶ scene_detections ──▶ SceneDetection, SceneDetection, ... in scene pixels
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rsmoe_cli.tiles.grid import Tile
from rsmoe_core.types import Answer


@dataclass(frozen=True)
class TileAnswer:
    """What the engine said about one tile, and how much of the scene that speaks for."""

    tile: Tile
    answer: Answer
    side: int
    """Pixels a side of the picture that the engine was given: the tile's size, or less."""
    owned_valid_pixels: int
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
        return max(1, self.owned_valid_pixels) * max(1e-3, self.confidence)

    def finds(self, thing: str) -> bool:
        """Whether the engine said where such things are."""
        return any(found.thing == thing for found in self.answer.found)


@dataclass(frozen=True)
class SceneDetection:
    """One thing in a scene."""

    thing: str
    """Its name in the singular."""
    x: float
    """Scene pixels from the left edge to its centre."""
    y: float
    """Likewise from the top edge."""
    confidence: float
    """Probability that it is one, 0-1."""
    nms_radius: float
    """Scene pixels within which no second one of its kind can have its centre."""
    tile: Tile
    """The tile that sees it best."""
    log_count_std: float = 0.0
    """How far counts of such things are off in whole scenes; see `rsmoe_core.types.Detection`."""

    @property
    def owned(self) -> bool:
        """Whether its centre lies in what its tile owns."""
        return self.outside == 0

    @property
    def outside(self) -> float:
        """How far its centre lies outside of what its tile owns, in scene pixels along an axis."""
        left, top, width, height = self.tile.owned
        return max(left - self.x, self.x - (left + width), top - self.y, self.y - (top + height), 0)


def scene_detections(heard: Iterable[TileAnswer]) -> list[SceneDetection]:
    """Everything that was found, each thing once, the surest first.

    A tile speaks for what it owns. Beyond that it is believed as far as a thing's nms_radius: neighbours see a thing on the
    seam at slightly different places, and each might take it for the other's. What two tiles found of one kind within
    its nms_radius is one thing seen twice, and the surer sight of it stays.
    """
    sights = [sight for one in heard for sight in _sights(one) if sight.outside <= sight.nms_radius]
    once = _Once(max((sight.nms_radius for sight in sights), default=0.0))
    for sight in sorted(sights, key=lambda sight: (-sight.confidence, not sight.owned)):
        once.add(sight)
    return once.things


def _sights(heard: TileAnswer) -> Iterator[SceneDetection]:
    """What was found in a tile, in scene pixels."""
    tile, scale = heard.tile, heard.tile.size / heard.side
    for found in heard.answer.found:
        x, y = tile.x + found.x * scale, tile.y + found.y * scale
        yield SceneDetection(found.thing, x, y, found.confidence, found.nms_radius * scale, tile, found.log_count_std)


class _Once:
    """Things that are kept once, in cells as wide as the longest nms_radius, so that only neighbours are searched."""

    def __init__(self, longest_reach: float) -> None:
        self.things: list[SceneDetection] = []
        self._seen_by: list[set[str]] = []
        self._cells: dict[tuple[str, int, int], list[int]] = defaultdict(list)
        self._side = max(1.0, longest_reach)

    def add(self, sight: SceneDetection) -> None:
        """Keeps a sight, unless another tile's sight of the same thing is there already."""
        col, row = int(sight.x // self._side), int(sight.y // self._side)
        twins = [
            (distance, index)
            for cell_row in (row - 1, row, row + 1)
            for cell_col in (col - 1, col, col + 1)
            for index in self._cells.get((sight.thing, cell_col, cell_row), ())
            if (distance := self._distance(sight, index)) <= max(sight.nms_radius, self.things[index].nms_radius)
            and sight.tile.id not in self._seen_by[index]  # a tile tells its own things apart
        ]
        if twins:
            self._seen_by[min(twins)[1]].add(sight.tile.id)
            return
        self._cells[sight.thing, col, row].append(len(self.things))
        self.things.append(sight)
        self._seen_by.append({sight.tile.id})

    def _distance(self, sight: SceneDetection, index: int) -> float:
        kept = self.things[index]
        return math.hypot(sight.x - kept.x, sight.y - kept.y)
