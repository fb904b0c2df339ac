"""Verdicts on things that can be counted: how many there are, whether there are any, and of which there are more."""

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
_CLOSE = 0.25
"""A count is right if the true number is within this share of it: its confidence is the chance of that."""


@dataclass(frozen=True)
class Number:
    """How many of one thing are in a scene."""

    things: tuple[SceneDetection, ...]
    """Those that were found and are sure."""
    doubtful: int
    """Those that were found and are not."""
    told: float
    """Those whose number was told without saying where they are."""
    distribution: count_distribution.CountDistribution
    """Probability of each number."""
    per_tile: Mapping[Tile, float]
    """How many each tile adds, where it adds any."""

    @property
    def answer(self) -> int:
        """The number that is answered."""
        return len(self.things) + round(self.told)

    @property
    def interval(self) -> tuple[int, int]:
        """The middle 90 % of the chances, and always what is answered."""
        low, high = count_distribution.central_interval(self.distribution, _INTERVAL)
        return min(low, self.answer), max(high, self.answer)

    @property
    def is_bare(self) -> bool:
        """Whether nothing at all was found or told, so that the chances know no doubt, but the tiles may."""
        return len(self.distribution) == 1

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.answer}" if low == high else f"{self.answer} ({low} to {high})"


def number_of(case: Evidence, thing: str) -> Number:
    """Things that were found count one by one.

    Of things that a tile told without place, the share that lies on the ground that the tile owns counts.
    """
    found = [one for one in case.things if one.thing == thing]
    sure = tuple(one for one in found if one.confidence >= SURE)
    told = {one.tile: one.own_share * one.answer.counts.get(thing, 0.0) for one in case.spoken if not one.finds(thing)}
    per_tile = {tile: number for tile, number in told.items() if number > 0}
    for one in sure:
        per_tile[one.tile] = per_tile.get(one.tile, 0) + 1
    number = sum(told.values())
    return Number(
        things=sure,
        doubtful=len(found) - len(sure),
        told=number,
        distribution=np.convolve(
            count_distribution.with_scale_error(
                count_distribution.poisson_binomial(one.confidence for one in found),
                max((one.log_count_std for one in found), default=0.0),
            ),
            count_distribution.negative_binomial(number),
        ),
        per_tile=per_tile,
    )


def count(case: Evidence) -> Aggregate | None:
    """How many there are. The confidence is the chance that the true number is within a quarter of the answer."""
    if not case.spoken:
        return None
    number = number_of(case, case.thing)
    margin = max(0.5, _CLOSE * number.answer)
    close = count_distribution.probability_between(number.distribution, number.answer - margin, number.answer + margin)
    tiles = strongest_first(number.per_tile)
    return Aggregate(
        answer=str(number.answer),
        confidence=case.certainty if number.is_bare else close,
        tiles=tiles,
        evidence=tuple(_count_evidence(case, number, tiles)),
        interval=number.interval,
        things=number.things,
    )


def _count_evidence(case: Evidence, number: Number, tiles: list[Tile]) -> Iterator[str]:
    most = ", ".join(f"{tile.id} ({number.per_tile[tile]:.0f})" for tile in tiles[:3])
    yield f"found in {case.part(tiles)}" + (f", most in {most}" if len(tiles) > 1 else f": {most}" if tiles else "")
    if number.doubtful:
        yield f"doubtful and not counted: {number.doubtful}"
    if number.told > 0:
        yield f"told without saying where, so the interval is wide: {number.told:.0f}"


def presence(case: Evidence) -> Aggregate | None:
    """Yes, if the surest tile says so. Tiles err alike, so many weak voices do not add up to a strong one."""
    if not case.spoken:
        return None
    found = [one for one in case.things if one.thing == case.thing]
    chance = {one.tile: one.confidence for one in reversed(found)}  # the surest in each tile comes last and stays
    for one in case.spoken:
        if not one.finds(case.thing) and one.answer.text in ("yes", "no"):
            chance[one.tile] = one.confidence if one.answer.text == "yes" else 1 - one.confidence
    tiles = strongest_first(chance)
    yes = [tile for tile in tiles if chance[tile] >= SURE]
    strongest = chance[tiles[0]] if tiles else 1 - case.certainty
    identity = ", ".join(f"{tile.id} ({chance[tile]:.2f})" for tile in tiles[:3])
    return Aggregate(
        answer="yes" if yes else "no",
        confidence=strongest if yes else 1 - strongest,
        tiles=yes,
        evidence=(f"{case.part(yes)} say yes" + (f"; the strongest identity are in {identity}" if identity else ""),),
        things=tuple(one for one in found if one.confidence >= SURE),
    )


def comparison(case: Evidence) -> Aggregate | None:
    """Whether there are more of one thing than of another, or as many: what is more probable."""
    if not case.spoken:
        return None
    names = case.thing, case.parsed.compared_with or "thing"
    first, second = (number_of(case, name) for name in names)
    if not any(one.finds(name) or name in one.answer.counts for one in case.spoken for name in names):
        return None  # nobody counted
    same = case.parsed.relation == "equal"
    chance = (count_distribution.probability_equal if same else count_distribution.probability_greater)(
        first.distribution, second.distribution
    )
    asked = f"as many as {names[1]}" if same else f"more {names[0]} than {names[1]}"
    both = {tile: first.per_tile.get(tile, 0) + more for tile, more in second.per_tile.items()}
    return Aggregate(
        answer="yes" if chance >= SURE else "no",
        confidence=case.certainty if first.is_bare and second.is_bare else max(chance, 1 - chance),
        tiles=strongest_first({**first.per_tile, **both}),
        evidence=(f"{names[0]}: {first}; {names[1]}: {second}", f"probability of {asked}: {chance:.2f}"),
        things=first.things + second.things,
    )
