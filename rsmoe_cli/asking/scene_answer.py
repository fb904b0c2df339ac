"""A question and the answers for the tiles → the answer for the scene, with its evidence. Pure.

    ParsedQuestion, TileAnswer, TileAnswer, ... ──SCENE_RULES──▶ Aggregate ──▶ SceneAnswer

How answers are aggregated depends on the type of the question: each type has one rule in `SCENE_RULES`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rsmoe_cli.asking import counting, voting
from rsmoe_cli.asking.detections import SceneDetection, deduplicate
from rsmoe_cli.asking.evidence import Aggregate, Evidence, TileAnswer
from rsmoe_cli.formats.base import rounded
from rsmoe_cli.pipeline.stats import TileStats
from rsmoe_cli.raster.orientation import AS_STORED, Orientation
from rsmoe_cli.tiles.grid import Grid, Tile
from rsmoe_core.errors import UsageError
from rsmoe_core.questions.types import UNPARSED, ParsedQuestion
from rsmoe_core.types import UNKNOWN

SceneRule = Callable[[Evidence], Aggregate | None]
"""Makes one answer for the scene of the answers for its tiles; None if they know nothing."""

SCENE_RULES: dict[str, SceneRule] = {}
"""Question type → its rule. For types without a rule the tiles vote."""


def register_scene_rule(question_type: str, rule: SceneRule) -> None:
    """Set how answers to questions of a type are aggregated.

    Raises:
        UsageError: the type has a rule already.
    """
    if question_type in SCENE_RULES:
        raise UsageError(f"questions of the type '{question_type}' have a rule for scenes already")
    SCENE_RULES[question_type] = rule


def _comparison(evidence: Evidence) -> Aggregate | None:
    """By counts; where nothing was counted, by a vote that cannot be won both ways."""
    return counting.comparison(evidence) or voting.majority(evidence)


for _type, _rule in (
    ("count", counting.count),
    ("presence", counting.presence),
    ("comparison", _comparison),
    ("threshold", counting.threshold),
    ("location", voting.location),
    ("description", voting.description),
    ("open", voting.free_words),
):
    register_scene_rule(_type, _rule)


@dataclass(frozen=True)
class SceneAnswer:
    """The answer to a question about a whole scene."""

    question: str
    """The question as it was asked."""
    type: str
    """The type of the question."""
    answer: str
    """`yes`, `no`, a whole number in digits, a scene class, a location in the scene, sentences, or `unknown`."""
    confidence: float | None
    """Probability that the answer is right, 0-1; of a count, that the true number is within a quarter of it. None where
    the model gives no probabilities."""
    interval: tuple[int, int] | None
    """Of a count, the numbers between which the true one lies with a probability of 90 %."""
    answered: int
    """Tiles with an answer."""
    skipped: int
    """Tiles without a valid pixel."""
    failed: int
    """Tiles that could not be read or answered."""
    supporting: tuple[Tile, ...]
    """Tiles that support the answer, the strongest first."""
    evidence: tuple[str, ...]
    """What the answer is based on, in lines for people."""
    reason: str
    """Of `unknown`: one line that says why."""
    detections: tuple[SceneDetection, ...] = ()
    """The objects that were counted."""

    def facts(self) -> dict[str, object]:
        """Everything but the detections, as `--json` prints it."""
        return {
            "question": self.question,
            "type": self.type,
            "answer": self.answer,
            "confidence": rounded(self.confidence, 4),
            "interval": None if self.interval is None else list(self.interval),
            "tiles": {
                "answered": self.answered,
                "skipped": self.skipped,
                "failed": self.failed,
                "supporting": len(self.supporting),
            },
            "evidence": list(self.evidence),
            "reason": self.reason or None,
        }

    def to_json(self) -> dict[str, object]:
        """Everything, with row and column in place of each tile."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        detections = [{**vars(one), "tile": [one.tile.row, one.tile.col]} for one in self.detections]
        return {**fields, "supporting": [[tile.row, tile.col] for tile in self.supporting], "detections": detections}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], grid: Grid | None) -> SceneAnswer:
        """The answer for a scene with this grid; the inverse of `to_json`."""

        def tile(place: Sequence[int]) -> Tile:
            assert grid is not None, "only a scene with a grid has tiles"
            return grid.tile(*place)

        interval = fields["interval"]
        return cls(
            **{
                **fields,
                "interval": None if interval is None else (interval[0], interval[1]),
                "supporting": tuple(map(tile, fields["supporting"])),
                "evidence": tuple(fields["evidence"]),
                "detections": tuple(SceneDetection(**{**d, "tile": tile(d["tile"])}) for d in fields["detections"]),
            }
        )

    def __str__(self) -> str:
        """The answer on the first line, then the evidence."""
        if self.answer == UNKNOWN:
            return "\n".join((UNKNOWN, self.reason, *self.evidence))
        confidence = "confidence unknown" if self.confidence is None else f"confidence {self.confidence:.2f}"
        if self.interval is not None:
            confidence = f"{self.interval[0]} to {self.interval[1]}, {confidence}"
        return "\n".join((f"{self.answer} ({confidence})", *self.evidence))


def scene_answer(
    question: ParsedQuestion,
    width: int,
    height: int,
    tile_answers: Sequence[TileAnswer],
    stats: TileStats,
    orientation: Orientation = AS_STORED,
) -> SceneAnswer:
    """The answer for a scene of this size, in pixels, and of this orientation.

    `stats` also counts the tiles without an answer.
    """
    aggregate = None
    if tile_answers:
        detections = deduplicate(one for answer in tile_answers for one in answer.scene_detections())
        evidence = Evidence(question, width, height, tile_answers, detections, orientation)
        aggregate = SCENE_RULES.get(question.type, voting.vote)(evidence)
    if aggregate is None:
        aggregate = Aggregate(UNKNOWN, 0.0, [])
    failures = (f"failed tiles, not included: {stats.failed}; {stats.error}",) if stats.failed else ()
    return SceneAnswer(
        question=question.text,
        type=question.type,
        answer=aggregate.answer,
        confidence=aggregate.confidence if _has_confidence(tile_answers) else None,
        interval=aggregate.interval,
        answered=stats.answered,
        skipped=stats.skipped,
        failed=stats.failed,
        supporting=tuple(aggregate.tiles),
        evidence=(
            *aggregate.evidence,
            *_surest(aggregate.detections),
            *_engine_evidence(aggregate.tiles, tile_answers),
            *failures,
        ),
        reason=(aggregate.reason or _unknown_reason(question, tile_answers, stats))
        if aggregate.answer == UNKNOWN
        else "",
        detections=aggregate.detections,
    )


def _surest(detections: Sequence[SceneDetection]) -> list[str]:
    """Where the object lies that is most certainly one, in pixels of the file as it is stored."""
    if not detections:
        return []
    one = max(detections, key=lambda detection: detection.confidence)
    return [f"the surest {one.label} is at column {int(one.x)}, row {int(one.y)} of the scene ({one.confidence:.2f})"]


def _has_confidence(tile_answers: Sequence[TileAnswer]) -> bool:
    """Whether any answer has a probability; there are models that give none, and none is invented for them."""
    return not tile_answers or any(one.answer.confidence is not None for one in tile_answers)


def _engine_evidence(tiles: Sequence[Tile], tile_answers: Sequence[TileAnswer]) -> list[str]:
    """The engine's evidence for its answer for the strongest tile."""
    lines = (one.answer.evidence for one in tile_answers if tiles and one.tile == tiles[0])
    return [f"{tiles[0].id}: {line}" for line in lines if line]


def _unknown_reason(question: ParsedQuestion, tile_answers: Sequence[TileAnswer], stats: TileStats) -> str:
    if question.type == UNPARSED:
        return question.reason
    if tile_answers:
        lines = Counter(
            one.answer.evidence for one in tile_answers if one.answer.evidence and one.answer.text == UNKNOWN
        )
        return lines.most_common(1)[0][0] if lines else "the model gives no reason"
    return "no tile could be read or answered" if stats.failed else "the scene has no valid pixel"
