"""Rules for questions about numbers: how many objects there are, whether there are any, and of which there are more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rsmoe_cli.asking.detections import SceneDetection
from rsmoe_cli.asking.evidence import Aggregate, Evidence, strongest_first
from rsmoe_cli.tiles.grid import Tile
from rsmoe_core.inference import count_distribution
from rsmoe_core.types import SURE

_INTERVAL = 0.9
"""Probability that the true number lies in the interval of a count."""
_TOLERANCE = 0.25
"""A count is right if the true number is within this share of it: its confidence is the probability of that."""


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
        """The number that is answered."""
        return len(self.detections) + round(self.unlocated)

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
    if not evidence.known_answers:
        return None
    number = count_objects(evidence, evidence.subject)
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
