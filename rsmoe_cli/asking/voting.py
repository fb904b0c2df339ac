"""Rules by which the tiles vote: each with the area that it owns, times its confidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from rsmoe_cli.asking.counting import count_objects
from rsmoe_cli.asking.evidence import Aggregate, Evidence, TileAnswer, mean_confidence, strongest_first
from rsmoe_core.words import locations

_MAX_CHOICES = 3
"""Choices that the evidence lists, and sentences of a description."""

Ranking = list[tuple[str, list[TileAnswer]]]
"""Choices, the one with most weight first, and the tiles that made them, the heaviest first."""


def vote(evidence: Evidence) -> Aggregate | None:
    """The answer of the tiles with most weight."""
    return _winner(_ranked(evidence.known_answers, lambda one: one.answer.text.strip(" .").lower()))


def free_words(evidence: Evidence) -> Aggregate | None:
    """The same for answers in any words and language, spelled as the heaviest tile spells them."""
    spelled: dict[str, str] = {}

    def choice(one: TileAnswer) -> str:
        text = one.answer.text.strip(" .")
        return spelled.setdefault(text.lower(), text)

    return _winner(_ranked(evidence.known_answers, choice))


def majority(evidence: Evidence) -> Aggregate | None:
    """Yes, if tiles with more than half of the area say so; the others do not have to be sure.

    Which of two objects is more is asked both ways. A tile says yes to one of them at most, and so does the scene.
    """
    answers = evidence.known_answers
    if not answers:
        return None
    yes = [one for one in answers if one.answer.text == "yes"]
    wins = 2 * _area(yes) > _area(answers)
    voters = sorted(yes if wins else (one for one in answers if one not in yes), key=lambda one: -one.weight)
    share = _area(yes) / _area(answers)
    return Aggregate(
        answer="yes" if wins else "no",
        confidence=_area(voters) / _area(answers) * mean_confidence(voters),
        tiles=[one.tile for one in voters],
        evidence=(f"by area: yes {share:.0%}, no {1 - share:.0%}",),
    )


def location(evidence: Evidence) -> Aggregate | None:
    """The parts of the scene in which objects were detected, the one with most of them first.

    Where the tiles only name a location in themselves, the tiles vote on the location in the scene that this means.
    """
    number = count_objects(evidence, evidence.subject)
    if number.detections:
        parts = evidence.parts_of_scene((one.x, one.y) for one in number.detections)
        tiles = strongest_first(number.per_tile)
        confidence = sum(one.confidence for one in number.detections) / len(number.detections)
        line = f"{len(number.detections)} found in {evidence.share_of_tiles(tiles)}"
        return Aggregate(", ".join(parts), confidence, tiles, (line,), detections=number.detections)
    was_counted = any(
        one.has_detections(evidence.subject) or evidence.subject in one.answer.counts for one in evidence.tile_answers
    )
    if was_counted and number.answer == 0:
        doubtful = [one.confidence for one in evidence.of_label(evidence.subject)]
        confidence = 1 - max(doubtful) if doubtful else mean_confidence(evidence.tile_answers)
        return Aggregate(f"nowhere: no {evidence.subject} was found", confidence, [])
    return _winner(_ranked(evidence.known_answers, lambda one: _location_in_scene(evidence, one)))


def description(evidence: Evidence) -> Aggregate | None:
    """The sentences for most of the area, each with its share."""
    answers = evidence.known_answers
    ranked = _ranked(answers, lambda one: " ".join(one.answer.text.split()))[:_MAX_CHOICES]
    if not ranked:
        return None
    quoted = [one for _, tile_answers in ranked for one in tile_answers]
    sentences = (f"{sentence} ({_area(voters) / _area(answers):.0%} of the area)" for sentence, voters in ranked)
    rest = 1 - _area(quoted) / _area(answers)
    tiles = [one.tile for one in quoted]
    others = f"; other sentences describe {rest:.0%} of the area" if rest > 0 else ""
    return Aggregate(
        answer=" ".join(sentences),
        confidence=mean_confidence(quoted),
        tiles=tiles,
        evidence=(f"describes {evidence.share_of_tiles(tiles)}{others}",),
    )


def _winner(ranking: Ranking) -> Aggregate | None:
    """The first of a ranking. Its confidence is its share of the weight, times that of its own tiles."""
    if not ranking:
        return None
    answer, voters = ranking[0]
    everyone = [one for _, tile_answers in ranking for one in tile_answers]
    shares = ", ".join(f"{choice} {_area(own) / _area(everyone):.0%}" for choice, own in ranking[:_MAX_CHOICES])
    return Aggregate(
        answer=answer,
        confidence=_weight(voters) / _weight(everyone) * mean_confidence(voters),
        tiles=[one.tile for one in voters],
        evidence=(f"by area: {shares}",),
    )


def _ranked(tile_answers: Iterable[TileAnswer], choice: Callable[[TileAnswer], str]) -> Ranking:
    voters: dict[str, list[TileAnswer]] = defaultdict(list)
    for one in sorted(tile_answers, key=lambda one: -one.weight):
        if chosen := choice(one):
            voters[chosen].append(one)
    return sorted(voters.items(), key=lambda item: -_weight(item[1]))


def _location_in_scene(evidence: Evidence, tile_answer: TileAnswer) -> str:
    """The part of the scene that a tile means by a part of itself; where it names none, its own."""
    tile = tile_answer.tile
    centre = tile.width / tile.size / 2, tile.height / tile.size / 2
    if named := locations.middle_of(tile_answer.answer.text):
        centre = tile_answer.orientation.stored_point(*named, 1, 1)
    return evidence.parts_of_scene([(tile.x + centre[0] * tile.size, tile.y + centre[1] * tile.size)])[0]


def _weight(tile_answers: Iterable[TileAnswer]) -> float:
    return sum(one.weight for one in tile_answers)


def _area(tile_answers: Iterable[TileAnswer]) -> int:
    return sum(one.area for one in tile_answers)
