"""Caption templates: sentences from counts and measurements, for images that were labelled but not captioned.

Each function returns several sentences in the wording of the field's caption sets, so that such images can be used for
training together with images that people captioned.
"""

from __future__ import annotations

from dataclasses import dataclass

from rsmoe_core.words.grammar import article, counted
from rsmoe_core.words.lexicon import MASS

# (largest count, word): people do not count trees exactly.
_TREE_BINS = ((10, "several"), (39, "some"))


def airport_sentences(airplanes: int) -> list[str]:
    """For an image of an airport's apron with this number of airplanes."""
    if airplanes == 0:
        return ["a part of an airport without airplanes .", "there is no airplane in the airport ."]
    what, verb = counted(airplanes, "airplane"), "is" if airplanes == 1 else "are"
    return [
        f"{what} {verb} parked in an airport .",
        f"{what} {verb} on the airport apron .",
        f"there {verb} {what} in the airport .",
    ]


def ship_sentences(ships: int) -> list[str]:
    """For a close-up of this number of ships on the water."""
    what, verb = counted(ships, "ship"), "is" if ships == 1 else "are"
    return [f"{what} {verb} on the water .", f"there {verb} {what} in the sea .", f"{what} {verb} in the dark water ."]


def trees(count: int) -> str:
    """Trees in bins: "no trees", "one tree", "several trees" to 10, "some trees" to 39, then "many trees"."""
    if count < 2:
        return counted(count, "tree")
    word = next((word for largest, word in _TREE_BINS if count <= largest), "many")
    return f"{word} trees"


def tree_sentences(count: int) -> list[str]:
    """For an aerial image of any scene class with this number of trees."""
    if count == 0:
        return ["there is no tree in this area .", "a place without trees ."]
    what, verb = trees(count), "is" if count == 1 else "are"
    return [f"{what} {verb} in this area .", f"there {verb} {what} on the ground .", f"a place with {what} ."]


SCENE_CLASS_SENTENCES: dict[str, tuple[str, ...]] = {
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
"""Scene class → sentences for an image of which nothing else is known; each of them names the class."""


def scene_class_sentences(scene_class: str) -> list[str]:
    """For an image of which only the scene class is known.

    Raises:
        ValueError: there is no template for the class.
    """
    if scene_class not in SCENE_CLASS_SENTENCES:
        known = ", ".join(SCENE_CLASS_SENTENCES)
        raise ValueError(f"no template for the scene class '{scene_class}'; known: {known}")
    return list(SCENE_CLASS_SENTENCES[scene_class])


def scene_class_sentences_with(scene_class: str, objects: str) -> list[str]:
    """For an image with a known scene class and counted objects ("many trees").

    Raises:
        ValueError: there is no template for the class.
    """
    sentences = scene_class_sentences(scene_class)
    described = f"a piece of {scene_class}" if scene_class in MASS else f"{article(scene_class)} {scene_class}"
    return [*sentences, f"{described} with {objects} ."]


@dataclass(frozen=True)
class CoastWindow:
    """Measurements of a window of a satellite scene at a coast."""

    water: float
    """Share of the window, 0-1."""
    vegetation: float
    """Share of the land, 0-1."""
    ships: int


_OPEN_SEA, _COAST = 0.97, 0.12


def coast_scene_class(window: CoastWindow) -> str:
    """The scene class of a window."""
    if window.water >= _OPEN_SEA:
        return "sea"
    if window.water >= _COAST:
        return "port" if window.ships else "coast"
    return _land_class(window)


def coast_sentences(window: CoastWindow) -> list[str]:
    """For a window of a medium-resolution satellite scene at a coast."""
    if window.water >= _OPEN_SEA:
        return sea_sentences(window.ships)
    if window.water >= _COAST:
        return _waterside_sentences(window)
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
    }[_land_class(window)]


def _land_class(window: CoastWindow) -> str:
    if window.vegetation < 0.25:
        return "city"
    return "green land" if window.vegetation > 0.7 else "mixed land"


def sea_sentences(ships: int) -> list[str]:
    """For open water with this number of ships."""
    if ships == 0:
        return ["it is a piece of open sea .", "the sea is calm and empty .", "a large piece of dark blue ocean ."]
    what, verb = counted(ships, "ship"), "is" if ships == 1 else "are"
    return [f"{what} {verb} on the open sea .", f"{what} {verb} sailing in the ocean .", f"the sea with {what} ."]


def _waterside_sentences(window: CoastWindow) -> list[str]:
    land = {"city": "many buildings", "green land": "green trees", "mixed land": "buildings and green trees"}[
        _land_class(window)
    ]
    if window.ships:
        what, verb = counted(window.ships, "ship"), "is" if window.ships == 1 else "are"
        return [
            f"{what} {verb} in a port near {land} .",
            f"{land} are near the sea with {what} .",
            f"a port with {what} .",
        ]
    return [f"{land} are near the sea .", f"{land} are on the coast beside the ocean .", f"the coast with {land} ."]
