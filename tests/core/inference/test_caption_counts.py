from __future__ import annotations

import numpy as np
import pytest

from rsmoe_core.inference.caption_counts import with_counts, with_detected_counts
from rsmoe_core.types import Description, Detection, Request

IMAGE = np.zeros((20, 20, 3), np.uint8)


@pytest.mark.parametrize(
    ("said", "found", "right"),
    [
        ("Two ships are on the open sea.", 5, "Five ships are on the open sea."),
        ("Two ships are on the open sea.", 1, "One ship is on the open sea."),
        ("One ship is sailing in the ocean.", 2, "Two ships are sailing in the ocean."),
        ("There is one white ship in the sea.", 3, "There are three white ships in the sea."),
        ("There are many boats in a port.", 12, "There are some boats in a port."),
        ("some ships, many buildings", 4, "four ships, many buildings"),
        ("a port with several vessels", 30, "a port with many vessels"),
        ("A boat is on the river.", 1, "A boat is on the river."),
        ("One ship is on the water.", 1, "One ship is on the water."),
    ],
)
def test_an_amount_that_was_written_is_put_right(said: str, found: int, right: str) -> None:
    assert with_counts(said, lambda thing: found if thing == "ship" else 0) == right


@pytest.mark.parametrize(
    "said",
    [
        "",
        "It is a piece of open sea.",
        "The ship is near the ships.",
        "Two ships are near one boat.",
        "Two shipyards and a planet.",
        "Many buildings are in a dense residential area.",
    ],
)
def test_words_without_one_amount_of_a_thing_stay(said: str) -> None:
    assert with_counts(said, lambda thing: 7) == said


def test_what_is_not_found_stays_in_the_words() -> None:
    assert with_counts("Two airplanes are in an airport.", lambda thing: 0) == "Two airplanes are in an airport."


def test_each_thing_has_its_own_number() -> None:
    numbers = {"ship": 3, "airplane": 2}
    assert with_counts("a plane and two ships", lambda thing: numbers[thing]) == "two planes and three ships"


class Harbour:
    """Stands for a detectors that sees three ships, one of them doubtful, from 5 to 20 metres per pixel."""

    def __init__(self) -> None:
        self.looks = 0

    def class_for(self, thing: str, metres_per_pixel: float | None) -> str | None:
        return "distant ship" if thing == "ship" and 5 <= (metres_per_pixel or 0) < 20 else None

    def find(self, request: Request, name: str) -> tuple[Detection, ...]:
        self.looks += 1
        return tuple(Detection("ship", 1, 1, confidence, 1) for confidence in (0.9, 0.7, 0.4))


SAID = Description("One ship is in a port.", "port", "many ships, an airplane", "one ship in port", 0.5)


def test_caption_and_drafts_agree_and_the_picture_is_looked_at_once() -> None:
    detectors = Harbour()
    right = with_detected_counts(SAID, Request(IMAGE, metres_per_pixel=10.0), detectors)  # type: ignore[arg-type]
    assert (right.caption, right.objects, right.relations) == (
        "Two ships are in a port.",
        "two ships, an airplane",
        "two ships in port",
    )
    assert (right.theme, right.confidence, detectors.looks) == ("port", 0.5, 1)


@pytest.mark.parametrize("metres", [None, 1.0, 30.0])
def test_without_a_sight_at_that_distance_nothing_changes(metres: float | None) -> None:
    detectors = Harbour()
    assert with_detected_counts(SAID, Request(IMAGE, metres_per_pixel=metres), detectors) == SAID  # type: ignore[arg-type]
    assert detectors.looks == 0


def test_nothing_is_looked_for_that_is_not_spoken_of() -> None:
    detectors = Harbour()
    quiet = Description("Many buildings are in a city.", "city", "many buildings", "", 0.5)
    assert with_detected_counts(quiet, Request(IMAGE, metres_per_pixel=10.0), detectors) == quiet  # type: ignore[arg-type]
    assert detectors.looks == 0
