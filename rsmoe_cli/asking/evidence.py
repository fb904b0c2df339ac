"""A question about a scene with the answers for its tiles, and the aggregate that a rule makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rsmoe_cli.asking.detections import SceneDetection
from rsmoe_cli.pipeline.records import TileRecord
from rsmoe_cli.raster.orientation import AS_STORED, Orientation
from rsmoe_cli.tiles.grid import Tile
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.types import UNKNOWN, Answer
from rsmoe_core.words import locations

_UNKNOWN_CONFIDENCE = 0.5
"""Confidence of an answer whose engine does not give one."""
_MIN_CONFIDENCE = 1e-3
"""The least confidence that a vote is weighted with, so that no tile is ignored."""


@dataclass(frozen=True)
class TileAnswer:
    """The answer for one tile, and the part of the scene that it stands for."""

    tile: Tile
    answer: Answer
    side: int
    """Pixels a side of the image that the engine was given: the tile's size, or less."""
    owned_valid_pixels: int
    """Valid scene pixels that the tile owns."""
    owned_share: float
    """Their share of all valid pixels under the tile, 0-1."""
    orientation: Orientation = AS_STORED
    """How the tile was turned upright for the engine."""

    @classmethod
    def of(cls, record: TileRecord[Answer], question: int, orientation: Orientation) -> TileAnswer | None:
        """The recorded answer to one of the questions; None if it failed. `orientation` is that of the scene."""
        answer = record.outcomes[question].value
        if answer is None:
            return None
        assert record.side is not None, "a tile with an answer was read"
        assert record.valid_pixels is not None, "and has valid pixels"
        owned = record.owned_valid_pixels
        return cls(record.tile, answer, record.side, owned, owned / record.valid_pixels, orientation)

    @property
    def confidence(self) -> float:
        """Probability that the answer is right, 0-1; one half if it is unknown."""
        return _UNKNOWN_CONFIDENCE if self.answer.confidence is None else self.answer.confidence

    @property
    def area(self) -> int:
        """Valid scene pixels that the tile owns, at least one."""
        return max(1, self.owned_valid_pixels)

    @property
    def weight(self) -> float:
        """The weight of its vote: its area times its confidence; never zero."""
        return self.area * max(_MIN_CONFIDENCE, self.confidence)

    def has_detections(self, label: str) -> bool:
        """Whether the engine located objects of this label."""
        return any(detection.label == label for detection in self.answer.detections)

    def scene_detections(self) -> Iterator[SceneDetection]:
        """Its detections, in scene pixels."""
        scale = self.tile.size / self.side
        for detection in self.answer.detections:
            x, y = self.orientation.stored_point(detection.x, detection.y, self.side, self.side)
            yield SceneDetection(
                label=detection.label,
                x=self.tile.x + x * scale,
                y=self.tile.y + y * scale,
                confidence=detection.confidence,
                nms_radius=detection.nms_radius * scale,
                tile=self.tile,
                log_count_std=detection.log_count_std,
            )


@dataclass(frozen=True)
class Evidence:
    """A question about a scene, and everything that is known for answering it."""

    question: ParsedQuestion
    width: int
    """Columns of the scene, in pixels."""
    height: int
    """Rows of the scene, in pixels."""
    tile_answers: Sequence[TileAnswer]
    """The answers for the tiles, in tile order."""
    detections: Sequence[SceneDetection]
    """The objects detected, each once, the most confident first."""
    orientation: Orientation = AS_STORED
    """How the scene is turned upright, for directions in words."""

    @property
    def known_answers(self) -> list[TileAnswer]:
        """The answers that are not `unknown`."""
        return [one for one in self.tile_answers if one.answer.text != UNKNOWN]

    @property
    def subject(self) -> str:
        """The object that is asked about."""
        return self.question.subject or "object"

    @property
    def confidence(self) -> float:
        """Mean confidence of the known answers, weighted by area."""
        return mean_confidence(self.known_answers)

    def of_label(self, label: str) -> list[SceneDetection]:
        """The objects detected with this label."""
        return [detection for detection in self.detections if detection.label == label]

    def parts_of_scene(self, points: Iterable[tuple[float, float]]) -> list[str]:
        """The parts of the upright scene in which points lie (in scene pixels), the one with most of them first."""
        placed = [self.orientation.on_map(x, y, self.width, self.height) for x, y in points]
        return locations.words(((x, y) for x, y, _, _ in placed), *(placed[0][2:] if placed else (1.0, 1.0)))

    def share_of_tiles(self, tiles: Sequence[Tile]) -> str:
        """How many of all tiles these are, in words."""
        total = len(self.tile_answers)
        return f"{len(tiles) or 'none'} of {total} tile{'s' if total != 1 else ''}"


@dataclass(frozen=True)
class Aggregate:
    """An answer for the scene, and what it is based on."""

    answer: str
    confidence: float
    """Probability that it is right, 0-1."""
    tiles: Sequence[Tile]
    """The tiles that support it, the strongest first."""
    evidence: tuple[str, ...] = ()
    """A few lines for people."""
    interval: tuple[int, int] | None = None
    """Of a count, the numbers between which the true one lies with a probability of 90 %."""
    detections: tuple[SceneDetection, ...] = ()
    """The objects that it is based on."""
    reason: str = ""
    """Of `unknown`: why, where the rule knows it."""


def mean_confidence(tile_answers: Iterable[TileAnswer]) -> float:
    """Mean confidence of answers for tiles, weighted by area."""
    parts = [(one.area, one.confidence) for one in tile_answers]
    return sum(area * confidence for area, confidence in parts) / sum(area for area, _ in parts)


def strongest_first(tiles: Mapping[Tile, float]) -> list[Tile]:
    """Tiles by what they contribute, the most first; equal ones keep their order."""
    return sorted(tiles, key=lambda tile: -tiles[tile])
