"""A question about a scene with all that was heard about it, and the verdict that comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rsmoe_cli.asking.detections import SceneDetection, TileAnswer
from rsmoe_cli.tiles.grid import Tile
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.types import UNKNOWN


@dataclass(frozen=True)
class Evidence:
    """A question about a scene, and all that was heard about it."""

    parsed: ParsedQuestion
    width: int
    """Columns of the scene, in pixels."""
    height: int
    """Rows of the scene, in pixels."""
    heard: Sequence[TileAnswer]
    """What was said about each tile, in tile order."""
    things: Sequence[SceneDetection]
    """What was found, each thing once, the surest first."""

    @property
    def spoken(self) -> list[TileAnswer]:
        """The tiles about which something is known."""
        return [one for one in self.heard if one.answer.text != UNKNOWN]

    @property
    def thing(self) -> str:
        """What is asked about."""
        return self.parsed.subject or "thing"

    @property
    def certainty(self) -> float:
        """Mean confidence of the tiles about which something is known, by the ground they own."""
        return mean_confidence(self.spoken)

    def part(self, tiles: Sequence[Tile]) -> str:
        """So many of the tiles that were asked, in words."""
        return f"{len(tiles) or 'none'} of {len(self.heard)} tile{'s' if len(self.heard) != 1 else ''}"


@dataclass(frozen=True)
class Aggregate:
    """An answer and what it rests on."""

    answer: str
    confidence: float
    """Probability that it is right, 0-1."""
    tiles: Sequence[Tile]
    """The tiles that support it, the strongest first."""
    evidence: tuple[str, ...] = ()
    """A few lines for people."""
    interval: tuple[int, int] | None = None
    """Of a count, the numbers between which the true one lies with a probability of 90 %."""
    things: tuple[SceneDetection, ...] = ()
    """The things that it rests on."""


def mean_confidence(heard: Iterable[TileAnswer]) -> float:
    """Mean confidence of some tiles, by the ground they own."""
    parts = [(max(1, one.owned_valid_pixels), one.confidence) for one in heard]
    return sum(ground * confidence for ground, confidence in parts) / sum(ground for ground, _ in parts)


def strongest_first(tiles: Mapping[Tile, float]) -> list[Tile]:
    """Tiles by what they contribute, the most first; equals in the order that they have."""
    return sorted(tiles, key=lambda tile: -tiles[tile])
