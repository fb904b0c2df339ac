"""Sentences from counted things and measured ground, for pictures that were labelled but never described in words.

Each rule gives several sentences, in the wording of the field's caption sets, so that such pictures can be learned
together with pictures that people described.
"""

from __future__ import annotations

from dataclasses import dataclass

from rsmoe_core.words.grammar import article, plural
from rsmoe_core.words.lexicon import MASS

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MANY = 20
# Trees are too many to be counted by eye: a count up to the limit gets the word.
_TREE_BINS = ((10, "several"), (39, "some"))


def amount(count: int) -> str:
    """A count as captions say it: exact to ten, then "some", and "many" from twenty on."""
    if count < len(_NUMBERS):
        return _NUMBERS[count]
    return "many" if count >= _MANY else "some"


def counted(count: int, name: str) -> str:
    """ "three ships", "one ship", "many ships"."""
    return f"{amount(count)} {name if count == 1 else plural(name)}"


def airport_sentences(airplanes: int) -> list[str]:
    """For a picture of an airport's apron on which the airplanes were counted."""
    if airplanes == 0:
        return ["a part of an airport without airplanes .", "there is no airplane in the airport ."]
    what, verb = counted(airplanes, "airplane"), "is" if airplanes == 1 else "are"
    return [
        f"{what} {verb} parked in an airport .",
        f"{what} {verb} on the airport apron .",
        f"there {verb} {what} in the airport .",
    ]


def ship_sentences(ships: int) -> list[str]:
    """For a close picture of ships on the water."""
    what, verb = counted(ships, "ship"), "is" if ships == 1 else "are"
    return [f"{what} {verb} on the water .", f"there {verb} {what} in the sea .", f"{what} {verb} in the dark water ."]


def trees(count: int) -> str:
    """Trees in bins: "no trees", "one tree", "several trees" to 10, "some trees" to 39, then "many trees"."""
    if count < 2:
        return counted(count, "tree")
    word = next((word for most, word in _TREE_BINS if count <= most), "many")
    return f"{word} trees"


def tree_sentences(count: int) -> list[str]:
    """For an aerial picture of any place in or around a town whose trees were boxed."""
    if count == 0:
        return ["there is no tree in this area .", "a place without trees ."]
    what, verb = trees(count), "is" if count == 1 else "are"
    return [f"{what} {verb} in this area .", f"there {verb} {what} on the ground .", f"a place with {what} ."]


PLACES: dict[str, tuple[str, ...]] = {
    "airport": ("airplanes are parked in an airport .", "a part of an airport with airplanes ."),
    "bare land": ("it is a piece of bare land .", "some plants are on the bare land ."),
    "baseball field": ("a baseball field is in the picture .", "it is a baseball field ."),
    "beach": ("waves of the sea wash the beach .", "a beach is next to the sea ."),
    "commercial area": (
        "several large buildings are close to each other in a commercial area .",
        "large buildings are in a commercial area .",
    ),
    "chaparral": ("many bushes are on the dry land of a chaparral .", "it is a piece of chaparral with many bushes ."),
    "dense residential area": (
        "many houses are close to each other in a dense residential area .",
        "many houses arranged in lines are in a dense residential area .",
    ),
    "farmland": ("it is a piece of farmland .", "the farmland is planted in rows ."),
    "forest": ("many green trees are in a forest .", "many trees are in a piece of forest ."),
    "freeway": ("a freeway goes through the land .", "several cars are on the freeway ."),
    "golf course": ("it is a part of a golf course .", "some trees are on the grass of a golf course ."),
    "industrial area": (
        "several large buildings are in an industrial area .",
        "many buildings with flat roofs are in an industrial area .",
    ),
    "intersection": ("two roads cross each other at an intersection .", "it is an intersection of two roads ."),
    "meadow": ("it is a piece of meadow .", "green and yellow grass covers the meadow ."),
    "medium residential area": (
        "many houses and trees are in a medium residential area .",
        "some houses with yards are in a medium residential area .",
    ),
    "mobile home park": (
        "many mobile homes are arranged in lines in a mobile home park .",
        "it is a mobile home park with many mobile homes .",
    ),
    "overpass": ("a road goes over another road on an overpass .", "it is an overpass with several cars ."),
    "park": ("many green trees and grass are in a park .", "it is a part of a park with green trees ."),
    "parking lot": ("many cars are parked in a parking lot .", "rows of cars are in the parking lot ."),
    "playground": ("a playground is next to several buildings .", "it is a playground with green grass ."),
    "port": ("many boats are in a port .", "boats are docked in lines in a port ."),
    "river": ("a river goes through the land .", "trees are on two sides of a river ."),
    "runway": ("it is a part of a runway .", "a straight runway with white marks is in the picture ."),
    "school": ("several buildings are in a school .", "it is a school with several buildings and a playground ."),
    "sparse residential area": (
        "a house and some trees are in a sparse residential area .",
        "a sparse residential area with a house and a road .",
    ),
    "storage tanks": ("some storage tanks are on the ground .", "it is a place with round storage tanks ."),
    "tennis court": ("a tennis court is in the picture .", "it is a place with a tennis court ."),
}
"""Kind of place → what is said of it where nothing else is known; every sentence names it."""


def place_sentences(scene: str) -> list[str]:
    """For a picture of which only the kind of place is known. Raises ValueError for one without sentences."""
    if scene not in PLACES:
        raise ValueError(f"no rule makes sentences for the class '{scene}'; known: {', '.join(PLACES)}")
    return list(PLACES[scene])


def place_sentences_with(scene: str, objects: str) -> list[str]:
    """For a picture whose kind of place is known and on which things were counted ("many trees"). As above."""
    usual = place_sentences(scene)
    place = f"a piece of {scene}" if scene in MASS else f"{article(scene)} {scene}"
    return [*usual, f"{place} with {objects} ."]


@dataclass(frozen=True)
class Shore:
    """What was measured of a satellite window at a coast; shares of its area, 0-1."""

    water: float
    green: float
    """Vegetation, as a share of the land."""
    ships: int


_OPEN_SEA, _COAST = 0.97, 0.12


def shore_scene(shore: Shore) -> str:
    """The kind of place."""
    if shore.water >= _OPEN_SEA:
        return "sea"
    if shore.water >= _COAST:
        return "port" if shore.ships else "coast"
    return _land(shore)


def shore_sentences(shore: Shore) -> list[str]:
    """For a window of a medium-resolution satellite scene at a coast."""
    if shore.water >= _OPEN_SEA:
        return sea_sentences(shore.ships)
    if shore.water >= _COAST:
        return _coast_sentences(shore)
    return {
        "city": [
            "many buildings and roads are in a city .",
            "it is a dense urban area with many buildings .",
            "dense buildings are crossed by several roads .",
        ],
        "green land": [
            "many green trees cover the mountains .",
            "it is a large piece of green land .",
            "dense green plants cover the land .",
        ],
        "mixed land": [
            "many buildings and some green trees are in the area .",
            "some buildings and roads are among green plants .",
            "green plants and many houses are in this area .",
        ],
    }[_land(shore)]


def _land(shore: Shore) -> str:
    if shore.green < 0.25:
        return "city"
    return "green land" if shore.green > 0.7 else "mixed land"


def sea_sentences(ships: int) -> list[str]:
    """For open water on which the ships were counted."""
    if ships == 0:
        return ["it is a piece of open sea .", "the sea is calm and empty .", "a large piece of dark blue ocean ."]
    what, verb = counted(ships, "ship"), "is" if ships == 1 else "are"
    return [f"{what} {verb} on the open sea .", f"{what} {verb} sailing in the ocean .", f"the sea with {what} ."]


def _coast_sentences(shore: Shore) -> list[str]:
    land = {"city": "many buildings", "green land": "green trees", "mixed land": "buildings and green trees"}[
        _land(shore)
    ]
    if shore.ships:
        what, verb = counted(shore.ships, "ship"), "is" if shore.ships == 1 else "are"
        return [
            f"{what} {verb} in a port near {land} .",
            f"{land} are near the sea with {what} .",
            f"a port with {what} .",
        ]
    return [f"{land} are near the sea .", f"{land} are on the coast beside the ocean .", f"the coast with {land} ."]
