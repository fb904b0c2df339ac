"""Rules for questions about numbers: how many objects there are, whether there are any, and of which there are more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from rsmoe_cli.asking.detections import SceneDetection
from rsmoe_cli.asking.evidence import Aggregate, Evidence, strongest_first
from rsmoe_cli.tiles.grid import Tile
from rsmoe_core.inference import count_distribution
from rsmoe_core.questions.bounds import NONE, limits
from rsmoe_core.types import SURE, UNKNOWN, Answer
from rsmoe_core.words.grammar import article
from rsmoe_core.words.lexicon import MASS

_INTERVAL = 0.9
"""Probability that the true number lies in the interval of a count."""
_TOLERANCE = 0.25
"""A count is right if the true number is within this share of it: its confidence is the probability of that."""
_LARGER_THAN_TILES = MASS | frozenset(
    """airport, apron, beach, commercial area, field, golf course, green plant, highway, industrial area, island, lake,
    mobile home park, mountain, park, parking lot, port, railway, railway station, residential area, resort, river,
    road, runway, viaduct, wave""".replace("\n", " ").split(", ")
)
"""Objects that may reach over several tiles, so that the numbers of tiles do not add up."""


@dataclass(frozen=True)
class ObjectCount:
    """How many objects of one label are in a scene."""

    detections: tuple[SceneDetection, ...]
    """The objects detected with a confidence of at least one half."""
    doubtful: int
    """Number of the others."""
    unlocated: float
    """Objects that answers for tiles count without locating them."""
    distribution: count_distribution.CountDistribution
    """Probability of each number."""
    per_tile: Mapping[Tile, float]
    """How many each tile contributes, where it contributes any."""

    @property
    def answer(self) -> int:
        """The number that is answered: at least one where a tile counts any, however small its share is."""
        return len(self.detections) + (max(1, round(self.unlocated)) if self.unlocated > 0 else 0)

    @property
    def interval(self) -> tuple[int, int]:
        """The middle 90 % of the distribution, extended to the answer."""
        low, high = count_distribution.central_interval(self.distribution, _INTERVAL)
        return min(low, self.answer), max(high, self.answer)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was detected or counted: the distribution then has no doubt, but the tiles may have."""
        return len(self.distribution) == 1

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.answer}" if low == high else f"{self.answer} ({low} to {high})"


def count_objects(evidence: Evidence, label: str) -> ObjectCount:
    """Count objects of one label: detections one by one.

    Of objects that a tile counts without locating them, the share of the tile's area that it owns is counted.
    """
    candidates = evidence.of_label(label)
    detections = tuple(one for one in candidates if one.confidence >= SURE)
    unlocated = {
        one.tile: one.owned_share * one.answer.counts.get(label, 0.0)
        for one in evidence.known_answers
        if not one.has_detections(label)
    }
    per_tile = {tile: number for tile, number in unlocated.items() if number > 0}
    for one in detections:
        per_tile[one.tile] = per_tile.get(one.tile, 0) + 1
    number = sum(unlocated.values())
    return ObjectCount(
        detections=detections,
        doubtful=len(candidates) - len(detections),
        unlocated=number,
        distribution=np.convolve(
            count_distribution.with_scale_error(
                count_distribution.poisson_binomial(one.confidence for one in candidates),
                max((one.log_count_std for one in candidates), default=0.0),
            ),
            count_distribution.negative_binomial(number),
        ),
        per_tile=per_tile,
    )


def count(evidence: Evidence) -> Aggregate | None:
    """How many there are. The confidence is the probability that the true number is within a quarter of the answer."""
    number = count_objects(evidence, evidence.subject)
    if why := _not_countable(evidence, number):
        return Aggregate(UNKNOWN, 0.0, [], reason=why)
    if not evidence.known_answers or _is_doubtful(evidence, number):
        return None
    margin = max(0.5, _TOLERANCE * number.answer)
    close = count_distribution.probability_between(number.distribution, number.answer - margin, number.answer + margin)
    tiles = strongest_first(number.per_tile)
    return Aggregate(
        answer=str(number.answer),
        confidence=evidence.confidence if number.is_empty else close,
        tiles=tiles,
        evidence=tuple(_count_lines(evidence, number, tiles)),
        interval=number.interval,
        detections=number.detections,
    )


def _count_lines(evidence: Evidence, number: ObjectCount, tiles: list[Tile]) -> Iterator[str]:
    most = ", ".join(f"{tile.id} ({number.per_tile[tile]:.0f})" for tile in tiles[:3])
    where = f", most in {most}" if len(tiles) > 1 else f": {most}" if tiles else ""
    yield f"found in {evidence.share_of_tiles(tiles)}{where}"
    if number.doubtful:
        yield f"doubtful and not counted: {number.doubtful}"
    if number.unlocated > 0:
        yield f"counted without being located, so the interval is wide: {number.unlocated:.0f}"


def _not_countable(evidence: Evidence, number: ObjectCount) -> str:
    """Why tiles that count without locating do not give a number for the scene; empty where they do."""
    if number.unlocated > 0 and len(number.per_tile) > 1 and evidence.subject in _LARGER_THAN_TILES:
        name = evidence.subject
        what = f"{article(name)} {name}" if name not in MASS else name
        return f"{what} may reach over several tiles, each of which counts it; ask, for example: is there any {name}?"
    return ""


def _is_doubtful(evidence: Evidence, number: ObjectCount) -> bool:
    """Whether none are counted, but there are tiles that see some without being able to count them."""
    return number.answer == 0 and len(evidence.known_answers) < len(evidence.tile_answers)


def threshold(evidence: Evidence) -> Aggregate | None:
    """Whether the number lies within a bound, by the count; "no" is the opposite of presence."""
    bound = evidence.question.relation or NONE
    if bound == NONE:
        return _absence(evidence)
    counted = count(evidence)
    if counted is None or counted.answer == UNKNOWN:
        return counted
    number = count_objects(evidence, evidence.subject)
    least, greatest = limits(bound)
    within = least <= number.answer and (greatest is None or number.answer <= greatest)
    probability = count_distribution.probability_within(number.distribution, least, greatest)
    confidence = probability if within else 1 - probability
    return replace(
        counted,
        answer="yes" if within else "no",
        confidence=evidence.confidence if number.is_empty else confidence,
        evidence=(f"{evidence.subject}: {number}", f"probability of {bound}: {probability:.2f}", *counted.evidence),
        interval=None,
    )


def _absence(evidence: Evidence) -> Aggregate | None:
    answers = [replace(one, answer=_opposite(one.answer)) for one in evidence.tile_answers]
    present = presence(replace(evidence, tile_answers=answers))
    if present is None:
        return None
    evidence_of = tuple(f"whether there is any {evidence.subject}: {line}" for line in present.evidence)
    return replace(present, answer="no" if present.answer == "yes" else "yes", evidence=evidence_of)


def _opposite(answer: Answer) -> Answer:
    return replace(answer, text={"yes": "no", "no": "yes"}.get(answer.text, answer.text))


def presence(evidence: Evidence) -> Aggregate | None:
    """Whether there are any: yes, if the most confident tile says so.

    Tiles make the same errors, so that many weak answers do not add up to a strong one.
    """
    if not evidence.known_answers:
        return None
    detections = evidence.of_label(evidence.subject)
    probabilities = {one.tile: one.confidence for one in reversed(detections)}  # the highest of each tile comes last
    for one in evidence.known_answers:
        if not one.has_detections(evidence.subject) and one.answer.text in ("yes", "no"):
            probabilities[one.tile] = one.confidence if one.answer.text == "yes" else 1 - one.confidence
    tiles = strongest_first(probabilities)
    supporting = [tile for tile in tiles if probabilities[tile] >= SURE]
    highest = probabilities[tiles[0]] if tiles else 1 - evidence.confidence
    line = f"yes in {evidence.share_of_tiles(supporting)}"
    if tiles:
        line += f"; most probable in {', '.join(f'{tile.id} ({probabilities[tile]:.2f})' for tile in tiles[:3])}"
    return Aggregate(
        answer="yes" if supporting else "no",
        confidence=highest if supporting else 1 - highest,
        tiles=supporting,
        evidence=(line,),
        detections=tuple(one for one in detections if one.confidence >= SURE),
    )


def comparison(evidence: Evidence) -> Aggregate | None:
    """Whether there are more of one object than of another, or as many: what is more probable."""
    if not evidence.known_answers:
        return None
    labels = evidence.subject, evidence.question.compared_with or "object"
    if not any(
        one.has_detections(label) or label in one.answer.counts for one in evidence.known_answers for label in labels
    ):
        return None  # neither was counted
    first, second = (count_objects(evidence, label) for label in labels)
    equal = evidence.question.relation == "equal"
    compare = count_distribution.probability_equal if equal else count_distribution.probability_greater
    probability = compare(first.distribution, second.distribution)
    claim = f"as many as {labels[1]}" if equal else f"more {labels[0]} than {labels[1]}"
    both = {tile: first.per_tile.get(tile, 0) + number for tile, number in second.per_tile.items()}
    return Aggregate(
        answer="yes" if probability >= SURE else "no",
        confidence=evidence.confidence if first.is_empty and second.is_empty else max(probability, 1 - probability),
        tiles=strongest_first({**first.per_tile, **both}),
        evidence=(f"{labels[0]}: {first}; {labels[1]}: {second}", f"probability of {claim}: {probability:.2f}"),
        detections=first.detections + second.detections,
    )
