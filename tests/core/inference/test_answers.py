from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rsmoe_core.backends.base import Turn
from rsmoe_core.config import DecodingConfig, DetectionConfig
from rsmoe_core.inference.answers import answer_from_detections, detect_subjects, unanswerable
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.inference.expert_answers import ExpertAnswers, answer_from_experts, ask_experts
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.questions.types import ParsedQuestion, canonical_question
from rsmoe_core.roles import DEFAULT_EXPERTS, ROUTER
from rsmoe_core.types import UNKNOWN, Answer, Detection, Generation, Request
from tests.core.fakes import FakeBackend

REQUEST = Request(np.zeros((90, 90, 3), np.uint8))
DETECTORS = Detectors({}, DetectionConfig().with_classes(("ship", "distant ship", "airplane")), "cpu")


def ask(type: str, subject: str | None = None, **parts: str) -> ParsedQuestion:
    canonical = canonical_question(type, subject, **parts)
    return ParsedQuestion(canonical, type, canonical, subject=subject, **parts)


def ships(*confidences: float, label: str = "ship") -> tuple[Detection, ...]:
    return tuple(Detection(label, 15.0, 45.0, confidence, nms_radius=6.0) for confidence in confidences)


def written(**drafts: tuple[str, float | None]) -> ExpertAnswers:
    """What each expert wrote, and the probability of the whole text."""
    generations = {name: Generation(text, probability, tokens=0) for name, (text, probability) in drafts.items()}
    return ExpertAnswers(dict.fromkeys(drafts, "a prompt"), generations)


def answer(
    question: ParsedQuestion, answers: ExpertAnswers, detections: dict[str, tuple[Detection, ...]] | None = None
) -> Answer:
    """As the engine does: detections come first."""
    return answer_from_detections(REQUEST, question, detections or {}) or answer_from_experts(question, answers)


def test_detections_are_counted() -> None:
    counted = answer(ask("count", "ship"), written(objects=("7", 0.9)), {"ship": ships(0.9, 0.8, 0.2)})
    assert counted.text == "2"
    assert counted.counts == {"ship": 2}
    assert len(counted.detections) == 3
    assert counted.confidence == pytest.approx(0.9 * 0.8 * 0.8 + 0.9 * 0.2 * 0.2 + 0.1 * 0.8 * 0.2)
    assert counted.evidence == "2 ships found, the surest with 0.90"


def test_one_sure_detection_is_enough_for_yes() -> None:
    assert answer(ask("presence", "ship"), written(objects=("no", 0.9)), {"ship": ships(0.7)}).text == "yes"
    none = answer(ask("presence", "ship"), written(objects=("yes", 0.9)), {"ship": ()})
    assert (none.text, none.evidence) == ("no", "no ship found")
    assert none.confidence > 0.9


@pytest.mark.parametrize(
    ("subject", "compared_with", "relation", "text"),
    [
        ("ship", "airplane", "more", "yes"),
        ("airplane", "ship", "more", "no"),
        ("airplane", "ship", "equal", "no"),
    ],
)
def test_numbers_of_two_objects_are_compared(subject: str, compared_with: str, relation: str, text: str) -> None:
    detections = {"ship": ships(0.9, 0.9), "airplane": ships(0.9, label="airplane")}
    question = ask("comparison", subject, compared_with=compared_with, relation=relation)
    compared = answer(question, written(), detections)
    assert compared.text == text
    assert compared.counts == {"ship": 2, "airplane": 1}
    assert len(compared.detections) == 3


def test_a_comparison_with_an_object_without_a_detector_is_left_to_the_experts() -> None:
    question = ask("comparison", "ship", compared_with="car", relation="more")
    compared = answer(question, written(objects=("no", 0.8)), {"ship": ships(0.9)})
    assert (compared.text, compared.confidence, compared.detections) == ("no", pytest.approx(0.8), ())


def test_locations_follow_from_detections() -> None:
    assert answer(ask("location", "ship"), written(), {"ship": ships(0.9)}).text == "left"
    assert answer(ask("location", "ship"), written(), {"ship": ships(0.3)}).text == "nowhere"


def test_experts_that_disagree_are_weighed_by_their_probabilities() -> None:
    weighed = answer(ask("presence", "bridge"), written(theme=("yes", 0.6), objects=("no", 0.9)))
    assert (weighed.text, weighed.confidence) == ("no", pytest.approx(0.65))
    assert weighed.evidence == "theme expert: yes (0.60); objects expert: no (0.90)"
    assert weighed.prompts == {"theme": "a prompt", "objects": "a prompt"}
    best = answer(ask("theme"), written(theme=("port", 0.7)))
    assert (best.text, best.confidence) == ("port", 0.7)


def test_the_probability_of_a_text_is_that_of_all_its_tokens() -> None:
    three_tokens = ExpertAnswers({"theme": "a prompt"}, {"theme": Generation("golf course", 0.9, tokens=2)})
    assert answer_from_experts(ask("theme"), three_tokens).confidence == pytest.approx(0.9**3)


@pytest.mark.parametrize(
    ("drafts", "text"),
    [
        ({"objects": "no"}, "no"),
        ({"objects": "yes"}, "yes"),
        ({"theme": "no", "objects": "yes", "relations": "no"}, "no"),
        ({"theme": "yes", "objects": "yes", "relations": "no"}, "yes"),
    ],
)
def test_experts_of_unknown_confidence_decide_by_majority(drafts: dict[str, str], text: str) -> None:
    answered = answer(ask("presence", "bridge"), written(**{name: (text, None) for name, text in drafts.items()}))
    assert (answered.text, answered.confidence) == (text, None)


def test_an_unknown_confidence_stays_unknown() -> None:
    answered = answer(ask("theme"), written(theme=("port", None)))
    assert (answered.text, answered.confidence) == ("port", None)
    assert answered.evidence == "theme expert: port"
    refused = answer(ask("count", "car"), written(objects=("many", None)))
    assert (refused.text, refused.confidence) == (UNKNOWN, None)


def test_a_number_without_detections_counts_too() -> None:
    counted = answer(ask("count", "car"), written(objects=("12", 0.4)))
    assert (counted.text, counted.counts, counted.detections) == ("12", {"car": 12.0}, ())
    in_words = answer(ask("count", "car"), written(objects=("two", 0.4)))
    assert (in_words.text, in_words.counts) == ("2", {"car": 2.0})
    assert answer(ask("count", "car"), written(objects=("many", 0.4))).text == UNKNOWN


@pytest.mark.parametrize(
    ("type", "right", "wrong"),
    [
        ("location", "left and right", "houses"),
        ("color", "white", "houses"),
        ("rural_urban", "rural", "2"),
        ("presence", "no", "8"),
        ("comparison", "yes", "8"),
    ],
)
def test_an_answer_to_a_question_of_another_type_is_unknown(type: str, right: str, wrong: str) -> None:
    compared = {"compared_with": "tree", "relation": "equal"} if type == "comparison" else {}
    question = ask(type, None if type == "rural_urban" else "building", **compared)
    assert answer(question, written(relations=(right, 0.9))).text == right
    refused = answer(question, written(relations=(wrong, 0.9)))
    assert refused.text == UNKNOWN
    assert wrong in refused.evidence


@pytest.mark.parametrize(
    ("subject", "metres", "visible"),
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
def test_objects_smaller_than_a_pixel_cannot_be_asked_about(subject: str, metres: float | None, visible: bool) -> None:
    reason = unanswerable(ask("count", subject), DETECTORS, metres)
    assert (reason is None) == visible
    if reason:
        assert f"{metres:g} m per pixel" in reason


def test_a_question_that_was_not_understood_cannot_be_answered() -> None:
    question = parse_question("who owns the port?")
    assert unanswerable(question, DETECTORS, None) == question.reason
    assert "who" in question.reason


def test_each_ground_sample_distance_has_its_detector_class() -> None:
    assert DETECTORS.class_for("ship", None) == DETECTORS.class_for("ship", 0.5) == "ship"
    assert DETECTORS.class_for("ship", 10.0) == "distant ship"
    assert DETECTORS.class_for("airplane", 10.0) is None
    assert DETECTORS.class_for("tree", None) is None


def test_objects_are_detected_once_for_all_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def detect(self: Detectors, request: Request, class_name: str) -> tuple[Detection, ...]:
        calls.append(class_name)
        return ships(0.9, label=class_name)

    monkeypatch.setattr(Detectors, "detect", detect)
    cache: dict[str, tuple[Detection, ...]] = {}
    questions = [
        ask("count", "ship"),
        ask("presence", "ship"),
        ask("comparison", "ship", compared_with="airplane", relation="more"),
    ]
    detected = [detect_subjects(REQUEST, question, DETECTORS, cache) for question in questions]
    assert [list(by_name) for by_name in detected] == [["ship"], ["ship"], ["ship", "airplane"]]
    assert calls == ["ship", "airplane"]
    assert set(cache) == {"ship", "airplane"}
    for question in (ask("count", "ship", attribute="red"), ask("theme"), ask("color", "ship"), ask("count", "car")):
        assert detect_subjects(REQUEST, question, DETECTORS, cache) == {}


def ask_canned(router: str, *questions: ParsedQuestion) -> tuple[FakeBackend, list[ExpertAnswers]]:
    backend = FakeBackend({ROUTER: router, "theme": "yes", "objects": "no", "relations": "left"}, confidence=0.5)
    images = range(len(questions))
    return backend, ask_experts(backend, list(images), images, questions, DEFAULT_EXPERTS, DecodingConfig())


def test_a_request_of_the_router_that_failed_fails_the_answer() -> None:
    failed = Generation("", error="no reply within 300 s", failed=True)
    backend = FakeBackend({ROUTER: failed, "theme": "yes", "objects": "yes", "relations": "yes"})
    question = parse_question("can you see a bridge?")
    (answers,) = ask_experts(backend, [0], [0], [question], DEFAULT_EXPERTS, DecodingConfig())
    assert answer_from_experts(question, answers).error == "no reply within 300 s"


def test_the_router_chooses_which_experts_are_asked_what() -> None:
    question = parse_question("can you see a bridge?")
    backend, (answers,) = ask_canned("<objects> look for a bridge", question)
    assert backend.turns_of(ROUTER) == [Turn(0, ROUTER, question.canonical)]
    assert answers.prompts == {"objects": "look for a bridge"}
    assert answers.drafts == {"objects": Generation("no", 0.5, 1)}


def test_where_the_router_chooses_nobody_the_experts_for_the_question_type_are_asked() -> None:
    presence, location = ask("presence", "bridge"), ask("location", "bridge")
    backend, answers = ask_canned("no marker", presence, location)
    assert [own.prompts for own in answers] == [
        {"theme": presence.canonical, "objects": presence.canonical},
        {"relations": location.canonical},
    ]
    assert [turn.image for turn in backend.turns_of("relations")] == [1]
    description = ask("description")
    assert ask_canned("", description)[1][0].prompts == {"theme": description.canonical}, "no expert answers these"


def counted(number: str, present: tuple[str, float | None] = ("yes", 0.9)) -> Answer:
    """The answer to how many stadiums there are, by what is counted and whether any is seen."""
    answers = replace(written(objects=(number, 0.6)), checks={"present": written(theme=present, objects=present)})
    return answer_from_experts(ask("count", "stadium"), answers)


def test_what_is_not_there_is_not_counted() -> None:
    absent = counted("6", ("no", 0.99))
    assert (absent.text, absent.counts) == (UNKNOWN, {})
    assert absent.evidence == (
        "the experts see no stadium, but count 6: objects expert: 6 (0.60); "
        "is there any? theme expert: no (0.99); objects expert: no (0.99)"
    )
    assert counted("0", ("no", 0.99)).text == "0"
    assert counted("", ("no", 0.99)).text == UNKNOWN
    six = counted("6")
    assert (six.text, six.confidence, six.counts) == ("6", pytest.approx(0.6), {"stadium": 6})
    none = counted("0")
    assert none.text == UNKNOWN
    assert none.evidence.startswith("the experts see a stadium, but count 0: objects expert: 0")


@pytest.mark.parametrize(
    ("forward", "swapped", "present", "answers"),
    [
        (0.9, 0.2, 0.9, ("yes", "no")),
        (0.9, 0.8, 0.9, ("yes", "no")),
        (0.8, 0.9, 0.9, ("no", "yes")),
        (0.8, 0.8, 0.9, ("no", "no")),
        (0.9, 0.2, 0.1, ("no", "no")),
        (0.2, 0.1, 0.9, ("no", "no")),
    ],
)
def test_there_is_not_more_both_ways(forward: float, swapped: float, present: float, answers: tuple[str, str]) -> None:
    def compared(own: float, other: float) -> str:
        checks = {"present": written(theme=("yes", present)), "swapped": written(objects=("yes", other))}
        return answer_from_experts(
            ask("comparison", "forest", compared_with="water", relation="more"),
            replace(written(objects=("yes", own)), checks=checks),
        ).text

    assert (compared(forward, swapped), compared(swapped, forward)) == answers


@pytest.mark.parametrize(
    ("relation", "text", "confidence"),
    [("at least 2", "yes", 0.9), ("at least 3", "no", 0.98), ("at most 1", "no", 0.9), ("no", "no", 0.95)],
)
def test_thresholds_follow_from_detections(relation: str, text: str, confidence: float) -> None:
    ships_found = {"ship": ships(0.95, 0.95)}
    within = answer(ask("threshold", "ship", relation=relation), written(), ships_found)
    assert (within.text, within.counts) == (text, {"ship": 2})
    assert within.confidence == pytest.approx(confidence, abs=0.01)
    assert answer(ask("threshold", "ship", relation="no"), written(), {"ship": ()}).text == "yes"


def test_thresholds_follow_from_the_count_of_the_experts() -> None:
    def within(relation: str, text: str, present: str = "yes") -> Answer:
        answers = replace(written(objects=(text, 0.9)), checks={"present": written(theme=(present, 0.9))})
        return answer_from_experts(ask("threshold", "stadium", relation=relation), answers)

    assert within("at least 3", "20").text == "yes"
    assert within("at least 3", "1").text == "no"
    assert within("at least 3", "20", present="no").text == UNKNOWN
    assert within("at most 3", "0", present="no").text == "yes"
    assert within("at least 3", "many").text == UNKNOWN
    absent = answer_from_experts(ask("threshold", "stadium", relation="no"), written(theme=("no", 0.9)))
    assert (absent.text, absent.confidence) == ("yes", pytest.approx(0.9))
    odd = answer_from_experts(ask("threshold", "stadium", relation="no"), written(theme=("stadium", 0.9)))
    assert odd.text == UNKNOWN


@pytest.mark.parametrize("type", ["presence", "count", "location", "color"])
def test_an_adjective_is_not_passed_over(type: str) -> None:
    reason = unanswerable(ask(type, "ship", attribute="white"), DETECTORS, 0.5)
    assert reason is not None
    assert reason.startswith('objects are not told apart by "white"; ask, for example: ')


def test_checks_are_asked_once_with_the_question() -> None:
    count, presence = ask("count", "stadium"), ask("presence", "stadium")
    threshold = ask("threshold", "stadium", relation="at least 3")
    more = ask("comparison", "stadium", compared_with="forest", relation="more")
    backend = FakeBackend({ROUTER: "", "theme": "no", "objects": "no", "relations": "no"}, confidence=0.5)
    answers = ask_experts(backend, [0], [0] * 4, [count, presence, threshold, more], DEFAULT_EXPERTS, DecodingConfig())
    swapped = ask("comparison", "forest", compared_with="stadium", relation="more")
    asked = [turn.prompt for turn in backend.turns_of(ROUTER)]
    assert sorted(asked) == sorted([count.canonical, presence.canonical, more.canonical, swapped.canonical])
    assert [sorted(own.checks) for own in answers] == [["present"], [], ["present"], ["present", "swapped"]]
    assert answers[0].checks["present"].drafts == answers[1].drafts
