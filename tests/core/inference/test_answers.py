from __future__ import annotations

import numpy as np
import pytest

from rsmoe_core.config import DetectionConfig
from rsmoe_core.inference.answers import Said, settle_by_experts, settle_by_finding, unseen
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.questions.types import ParsedQuestion, canonical_question
from rsmoe_core.types import UNKNOWN, Answer, Detection, Request

IMAGE = np.zeros((90, 90, 3), np.uint8)
FINDER = Detectors({}, DetectionConfig().with_classes(("ship", "distant ship", "airplane")), "cpu")


def request(kind: str, thing: str | None = None, metres: float | None = None, **parts: str) -> Request:
    plain = canonical_question(kind, thing, **parts)
    return Request(IMAGE, None, ParsedQuestion(plain, kind, plain, thing=thing, **parts), metres)


def ships(*confidences: float, thing: str = "ship") -> tuple[Detection, ...]:
    return tuple(Detection(thing, 15.0, 45.0, share, 6.0) for share in confidences)


def said(**drafts: tuple[str, float]) -> Said:
    return Said(dict.fromkeys(drafts, "a prompt"), drafts)


def settle(asked: Request, heard: Said, found: dict[str, tuple[Detection, ...]]) -> Answer:
    """As the engine does: what was found goes first."""
    return settle_by_finding(asked, found) or settle_by_experts(asked, heard)


def test_things_found_are_counted():
    answer = settle(request("count", "ship"), said(objects=("7", 0.9)), {"ship": ships(0.9, 0.8, 0.2)})
    assert answer.text == "2"
    assert answer.counts == {"ship": 2}
    assert len(answer.found) == 3
    assert answer.confidence == pytest.approx(0.9 * 0.8 * 0.8 + 0.9 * 0.2 * 0.2 + 0.1 * 0.8 * 0.2)
    assert answer.evidence == "2 ships found, the surest at x 15, y 45 (0.90)"


def test_one_sure_thing_is_enough_for_yes():
    assert settle(request("presence", "ship"), said(objects=("no", 0.9)), {"ship": ships(0.7)}).text == "yes"
    none = settle(request("presence", "ship"), said(objects=("yes", 0.9)), {"ship": ()})
    assert (none.text, none.evidence) == ("no", "no ship found")
    assert none.confidence > 0.9


def test_two_kinds_of_things_are_compared():
    found = {"ship": ships(0.9, 0.9), "airplane": ships(0.9, thing="airplane")}
    assert settle(request("comparison", "ship", other="airplane", relation="more"), said(), found).text == "yes"
    assert settle(request("comparison", "airplane", other="ship", relation="more"), said(), found).text == "no"
    assert settle(request("comparison", "airplane", other="ship", relation="equal"), said(), found).text == "no"


def test_a_comparison_with_what_cannot_be_found_is_left_to_the_experts():
    asked = request("comparison", "ship", other="car", relation="more")
    answer = settle(asked, said(objects=("no", 0.8)), {"ship": ships(0.9)})
    assert (answer.text, answer.confidence, answer.found) == ("no", pytest.approx(0.8), ())


def test_places_follow_from_what_was_found():
    assert settle(request("location", "ship"), said(), {"ship": ships(0.9)}).text == "left"
    assert settle(request("location", "ship"), said(), {"ship": ships(0.3)}).text == "nowhere"


def test_experts_that_disagree_are_weighed():
    answer = settle(request("presence", "bridge"), said(theme=("yes", 0.6), objects=("no", 0.9)), {})
    assert (answer.text, answer.confidence) == ("no", pytest.approx(0.65))
    assert answer.evidence == "theme expert: yes (0.60); objects expert: no (0.90)"
    best = settle(request("theme"), said(theme=("port", 0.7)), {})
    assert (best.text, best.confidence) == ("port", 0.7)


def test_a_number_told_without_places_counts_too():
    answer = settle(request("count", "car"), said(objects=("12", 0.4)), {})
    assert (answer.text, answer.counts, answer.found) == ("12", {"car": 12.0}, ())
    assert settle(request("count", "car"), said(objects=("many", 0.4)), {}).text == UNKNOWN


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [("location", "left and right", "houses"), ("color", "white", "houses"), ("rural_urban", "rural", "2")],
)
def test_an_answer_to_another_question_is_none(kind, right, wrong):
    asked = request(kind, None if kind == "rural_urban" else "building")
    assert settle(asked, said(relations=(right, 0.4)), {}).text == right
    refused = settle(asked, said(relations=(wrong, 0.4)), {})
    assert refused.text == UNKNOWN
    assert wrong in refused.evidence


@pytest.mark.parametrize(
    ("thing", "metres", "seen"),
    [
        ("ship", None, True),
        ("ship", 10.0, True),
        ("ship", 0.5, True),
        ("ship", 300.0, False),
        ("car", 10.0, False),
        ("car", 0.5, True),
        ("building", 300.0, False),
        ("river", 300.0, True),
    ],
)
def test_what_is_smaller_than_a_pixel_cannot_be_seen(thing, metres, seen):
    reason = unseen(request("count", thing).parsed, FINDER, metres)
    assert (reason is None) == seen
    if reason:
        assert f"{metres:g} m per pixel" in reason


def test_each_distance_has_its_sight():
    assert FINDER.class_for("ship", None) == FINDER.class_for("ship", 0.5) == "ship"
    assert FINDER.class_for("ship", 10.0) == "distant ship"
    assert FINDER.class_for("airplane", 10.0) is None
    assert FINDER.class_for("tree", None) is None
