"""A question and what the tiles said to it → the answer for the scene, with its evidence. Pure.

ParsedQuestion, TileAnswer, TileAnswer, ... ──▶ scene_answer ──▶ SceneAnswer
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rsmoe_cli.asking import counting, voting
from rsmoe_cli.asking.detections import SceneDetection, TileAnswer, scene_detections
from rsmoe_cli.asking.evidence import Aggregate, Evidence
from rsmoe_cli.pipeline.stats import TileStats
from rsmoe_cli.tiles.grid import Tile
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.types import UNKNOWN

_VERDICTS: Mapping[str, Callable[[Evidence], Aggregate | None]] = {
    "count": counting.count,
    "presence": counting.presence,
    "comparison": lambda case: counting.comparison(case) or voting.vote(case),
    "location": voting.location,
    "description": voting.description,
}
"""How each kind of question is decided; the others by a vote. None comes of tiles that have nothing to say."""


@dataclass(frozen=True)
class SceneAnswer:
    """The answer to a question about a whole scene."""

    question: str
    """The question as it was put."""
    type: str
    answer: str
    """`yes`, `no`, a whole number in digits, a kind of place, a place in the scene, sentences, or `unknown`."""
    confidence: float
    """Probability that the answer is right, 0-1; of a count, that the true number is within a quarter of it."""
    interval: tuple[int, int] | None
    """Of a count, the numbers between which the true one lies with a probability of 90 %."""
    asked: int
    """Tiles that answered."""
    skipped: int
    """Tiles without a valid pixel."""
    failed: int
    """Tiles that could not be read or asked."""
    supporting: tuple[Tile, ...]
    """Tiles that the answer rests on, the strongest first."""
    evidence: tuple[str, ...]
    """What it rests on, a line each."""
    reason: str
    """Of `unknown`: one line that says why."""
    things: tuple[SceneDetection, ...] = ()
    """The things that were counted."""

    def facts(self) -> dict[str, object]:
        """All but the things, as JSON has it."""
        return {
            "question": self.question,
            "kind": self.type,
            "answer": self.answer,
            "confidence": round(self.confidence, 4),
            "interval": None if self.interval is None else list(self.interval),
            "tiles": {
                "asked": self.asked,
                "skipped": self.skipped,
                "failed": self.failed,
                "supporting": len(self.supporting),
            },
            "evidence": list(self.evidence),
            "reason": self.reason or None,
        }

    def __str__(self) -> str:
        """The answer on the first line, then what it rests on."""
        if self.answer == UNKNOWN:
            return "\n".join((UNKNOWN, self.reason, *self.evidence))
        sureness = f"confidence {self.confidence:.2f}"
        if self.interval is not None:
            sureness = f"{self.interval[0]} to {self.interval[1]}, {sureness}"
        return "\n".join((f"{self.answer} ({sureness})", *self.evidence))


def scene_answer(
    parsed: ParsedQuestion, width: int, height: int, heard: Sequence[TileAnswer], tally: TileStats
) -> SceneAnswer:
    """The answer for a scene of that size, in pixels; `tally` says what became of the tiles that are not heard."""
    verdict = None
    if heard:
        case = Evidence(parsed, width, height, heard, scene_detections(heard))
        verdict = _VERDICTS.get(parsed.type, voting.vote)(case)
    failures = (f"failed tiles, without which this is: {tally.failed}; {tally.error}",) if tally.failed else ()
    if verdict is None:
        verdict = Aggregate(UNKNOWN, 0.0, [])
    return SceneAnswer(
        question=parsed.text,
        type=parsed.type,
        answer=verdict.answer,
        confidence=verdict.confidence,
        interval=verdict.interval,
        asked=tally.told,
        skipped=tally.skipped,
        failed=tally.failed,
        supporting=tuple(verdict.tiles),
        evidence=(*verdict.evidence, *_words_of(verdict.tiles, heard), *failures),
        reason=_why_unknown(parsed, heard, tally) if verdict.answer == UNKNOWN else "",
        things=verdict.things,
    )


def _words_of(tiles: Sequence[Tile], heard: Sequence[TileAnswer]) -> list[str]:
    """What the engine says that its answer about the strongest tile rests on."""
    said = (one.answer.evidence for one in heard if tiles and one.tile == tiles[0])
    return [f"{tiles[0].id}: {evidence}" for evidence in said if evidence]


def _why_unknown(parsed: ParsedQuestion, heard: Sequence[TileAnswer], tally: TileStats) -> str:
    if parsed.type == "unknown":
        return parsed.reason
    if heard:
        lines = Counter(one.answer.evidence for one in heard if one.answer.evidence)
        return lines.most_common(1)[0][0] if lines else "the model does not say why"
    return "no tile could be read or asked" if tally.failed else "the scene has no valid pixel"
