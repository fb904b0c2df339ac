"""Verdicts on which the tiles vote: each with the ground that it owns, times its confidence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from rsmoe_cli.asking.counting import number_of
from rsmoe_cli.asking.detections import TileAnswer
from rsmoe_cli.asking.evidence import Aggregate, Evidence, mean_confidence, strongest_first
from rsmoe_core.words import locations

_MOST = 3
"""Choices that the evidence tells of, and sentences of a description."""

Ranking = list[tuple[str, list[TileAnswer]]]
"""Choices, that with most weight first, and the tiles that made them, the weightiest first."""


def vote(case: Evidence) -> Aggregate | None:
    """What the tiles with most weight say."""
    return _winner(_ranked(case.spoken, lambda one: one.answer.text.strip(" .").lower()))


def location(case: Evidence) -> Aggregate | None:
    """In which parts of the scene things were found, that with most of them first.

    Where the tiles say no more than a place in themselves, the place in the scene that they mean is voted on.
    """
    number = number_of(case, case.thing)
    if number.things:
        parts = locations.words(((one.x, one.y) for one in number.things), case.width, case.height)
        tiles = strongest_first(number.per_tile)
        sureness = sum(one.confidence for one in number.things) / len(number.things)
        found = f"{len(number.things)} found in {case.part(tiles)}"
        return Aggregate(", ".join(parts), sureness, tiles, (found,), things=number.things)
    looked = any(one.finds(case.thing) or case.thing in one.answer.counts for one in case.heard)
    if looked and number.answer == 0:
        doubtful = [one.confidence for one in case.things if one.thing == case.thing]
        confidence = 1 - max(doubtful) if doubtful else mean_confidence(case.heard)
        return Aggregate(f"nowhere: no {case.thing} was found", confidence, [])
    return _winner(_ranked(case.spoken, lambda one: _place(case, one)))


def description(case: Evidence) -> Aggregate | None:
    """The sentences that are said of most ground, each with its share."""
    ranked = _ranked(case.spoken, lambda one: " ".join(one.answer.text.split()))[:_MOST]
    if not ranked:
        return None
    told = [one for _, tiles in ranked for one in tiles]
    sentences = (f"{sentence} ({_ground(tiles) / _ground(case.spoken):.0%} of the area)" for sentence, tiles in ranked)
    rest = 1 - _ground(told) / _ground(case.spoken)
    return Aggregate(
        answer=" ".join(sentences),
        confidence=mean_confidence(told),
        tiles=[one.tile for one in told],
        evidence=(f"said of {case.part([one.tile for one in told])}; other sentences of {rest:.0%} of the area",),
    )


def _winner(ranked: Ranking) -> Aggregate | None:
    """The first of a ranking. Its confidence is its share of the weight, times that of its own tiles."""
    if not ranked:
        return None
    answer, voters = ranked[0]
    everyone = [one for _, tiles in ranked for one in tiles]
    shares = ", ".join(f"{choice} {_ground(tiles) / _ground(everyone):.0%}" for choice, tiles in ranked[:_MOST])
    return Aggregate(
        answer=answer,
        confidence=_weight(voters) / _weight(everyone) * mean_confidence(voters),
        tiles=[one.tile for one in voters],
        evidence=(f"by area: {shares}",),
    )


def _ranked(heard: Iterable[TileAnswer], choice: Callable[[TileAnswer], str]) -> Ranking:
    voters: dict[str, list[TileAnswer]] = defaultdict(list)
    for one in sorted(heard, key=lambda one: -one.weight):
        if chosen := choice(one):
            voters[chosen].append(one)
    return sorted(voters.items(), key=lambda item: -_weight(item[1]))


def _place(case: Evidence, heard: TileAnswer) -> str:
    """The part of the scene that a tile means by a part of itself; its own where it names none."""
    tile = heard.tile
    across, down = locations.middle_of(heard.answer.text) or (tile.width / tile.size / 2, tile.height / tile.size / 2)
    return locations.word(tile.x + across * tile.size, tile.y + down * tile.size, case.width, case.height)


def _weight(heard: Iterable[TileAnswer]) -> float:
    return sum(one.weight for one in heard)


def _ground(heard: Iterable[TileAnswer]) -> int:
    """Valid pixels that tiles own, at least one each."""
    return sum(max(1, one.owned_valid_pixels) for one in heard)
