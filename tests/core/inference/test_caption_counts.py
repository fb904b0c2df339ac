from __future__ import annotations

import numpy as np
import pytest

from rsmoe_core.inference.caption_counts import with_counts, with_detected_counts
from rsmoe_core.types import Description, Detection, Generation, Request

IMAGE = np.zeros((20, 20, 3), np.uint8)


@pytest.mark.parametrize(
    ("text", "found", "corrected"),
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
def test_an_amount_is_corrected(text: str, found: int, corrected: str) -> None:
    assert with_counts(text, lambda label: found if label == "ship" else 0) == corrected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It is a piece of open sea.",
        "The ship is near the ships.",
        "Two ships are near one boat.",
        "Two shipyards and a planet.",
        "Many buildings are in a dense residential area.",
    ],
)
def test_a_text_without_one_amount_of_an_object_does_not_change(text: str) -> None:
    assert with_counts(text, lambda label: 7) == text


def test_amounts_of_objects_without_detections_stay() -> None:
    assert with_counts("Two airplanes are in an airport.", lambda label: 0) == "Two airplanes are in an airport."


def test_each_object_has_its_own_number() -> None:
    numbers = {"ship": 3, "airplane": 2}
    assert with_counts("a plane and two ships", lambda label: numbers[label]) == "two planes and three ships"


class FakeDetectors:
    """Detects three ships, one of them doubtful, from 5 to 20 metres per pixel."""

    def __init__(self) -> None:
        self.calls = 0

    def class_for(self, label: str, metres_per_pixel: float | None) -> str | None:
        return "distant ship" if label == "ship" and 5 <= (metres_per_pixel or 0) < 20 else None

    def detect(self, request: Request, class_name: str) -> tuple[Detection, ...]:
        self.calls += 1
        return tuple(Detection("ship", 1, 1, confidence, 1) for confidence in (0.9, 0.7, 0.4))


def description(caption: str, **drafts: str) -> Description:
    return Description(caption, {role: Generation(text, 0.25, 3) for role, text in drafts.items()}, 0.5)


HARBOUR = description(
    "One ship is in a port.", theme="one ship port", objects="many ships, an airplane", relations="one ship in port"
)


def test_caption_and_drafts_agree_and_detection_runs_once() -> None:
    detectors = FakeDetectors()
    corrected = with_detected_counts(HARBOUR, Request(IMAGE, metres_per_pixel=10.0), detectors)  # type: ignore[arg-type]
    assert corrected == description(
        "Two ships are in a port.",
        theme="one ship port",  # a scene class, whatever its words
        objects="two ships, an airplane",
        relations="two ships in port",
    )
    assert detectors.calls == 1


@pytest.mark.parametrize("metres", [None, 1.0, 30.0])
def test_nothing_changes_where_no_detector_class_applies(metres: float | None) -> None:
    detectors = FakeDetectors()
    assert with_detected_counts(HARBOUR, Request(IMAGE, metres_per_pixel=metres), detectors) == HARBOUR  # type: ignore[arg-type]
    assert detectors.calls == 0


def test_detection_does_not_run_for_objects_that_are_not_mentioned() -> None:
    detectors = FakeDetectors()
    city = description("Many buildings are in a city.", theme="city", objects="many buildings", relations="")
    assert with_detected_counts(city, Request(IMAGE, metres_per_pixel=10.0), detectors) == city  # type: ignore[arg-type]
    assert detectors.calls == 0
