"""Requests with questions → Answers, from detections where objects are counted or located.

    question ─detectors─▶ Detections ─▶ Answer                    where the objects can be seen one by one
    question ─experts─▶ Answer                                    otherwise: `inference.expert_answers`

Detections come first: a ship of five pixels is not in the vision tokens, so an expert cannot count it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from rsmoe_core.inference import count_distribution
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.inference.expert_answers import yes_or_no
from rsmoe_core.questions.bounds import NONE, limits
from rsmoe_core.questions.types import QUESTION_TYPES, UNPARSED, ParsedQuestion, canonical_question
from rsmoe_core.types import SURE, Answer, Detection, Request
from rsmoe_core.words import locations
from rsmoe_core.words.grammar import article, length, plural

_COARSEST: Mapping[str, float] = MappingProxyType(
    {"car": 2.0, "bush": 3.0, "swimming pool": 5.0, "house": 10.0, "tennis court": 10.0, "basketball court": 10.0}
    | {"storage tank": 10.0, "mobile home": 10.0, "building": 20.0, "baseball field": 20.0, "bridge": 30.0}
    | {"stadium": 30.0, "church": 20.0, "train": 10.0, "container": 10.0, "road": 30.0, "runway": 60.0}
)
"""Ground sample distance, in metres per pixel, from which an object without a detector class cannot be seen."""
_MISSED = 0.02
"""Probability that an object is there although the detector found none."""


def unanswerable(
    question: ParsedQuestion, detectors: Detectors, metres_per_pixel: float | None, any_words: bool = False
) -> str | None:
    """Why no image, or none at this ground sample distance, can answer a question; None where one can.

    `any_words` says that the model understands more than the words that it was trained on.
    """
    if question.type == UNPARSED:
        return question.reason
    if question.attribute and not any_words:
        plain = canonical_question(question.type, question.subject, relation=question.relation)
        return f'objects are not told apart by "{question.attribute}"; ask, for example: {plain}'
    if metres_per_pixel is None:
        return None
    for name in _subjects(question):
        too_coarse = metres_per_pixel >= _COARSEST.get(name, float("inf"))
        if too_coarse or (detectors.knows(name) and detectors.class_for(name, metres_per_pixel) is None):
            return (
                f"{article(name)} {name} cannot be told from its surroundings at {length(metres_per_pixel)} per pixel"
            )
    return None


def detect_subjects(
    request: Request, question: ParsedQuestion, detectors: Detectors, cache: dict[str, tuple[Detection, ...]]
) -> dict[str, tuple[Detection, ...]]:
    """Object → its detections in the image, for the objects asked about that a detector knows.

    `cache` holds the detections by detector class that earlier questions about this image needed; new ones are added.
    """
    if not QUESTION_TYPES[question.type].uses_detectors or question.attribute:
        return {}
    detections = {}
    for name in _subjects(question):
        class_name = detectors.class_for(name, request.metres_per_pixel)
        if class_name is not None:
            if class_name not in cache:
                cache[class_name] = detectors.detect(request, class_name)
            detections[name] = cache[class_name]
    return detections


def answer_from_detections(
    request: Request, question: ParsedQuestion, detections: Mapping[str, tuple[Detection, ...]]
) -> Answer | None:
    """The answer by what was detected; None where not every object asked about was looked for."""
    names = _subjects(question)
    if not detections or not all(name in detections for name in names):
        return None
    text, confidence = _text_from_detections(question, [detections[name] for name in names], request)
    return Answer(
        text,
        confidence,
        evidence="; ".join(_summary(detections[name], name) for name in names),
        counts=MappingProxyType({name: float(_count(detections[name])) for name in names}),
        detections=tuple(detection for name in names for detection in detections[name]),
    )


def _subjects(question: ParsedQuestion) -> list[str]:
    return [name for name in (question.subject, question.compared_with) if name]


def _text_from_detections(
    question: ParsedQuestion, detections: Sequence[tuple[Detection, ...]], request: Request
) -> tuple[str, float]:
    """The answer's text and its probability; `detections` are of the subject, then of what it is compared with."""
    confidences = [[detection.confidence for detection in own] for own in detections]
    if question.type == "presence":
        return yes_or_no(max(confidences[0], default=_MISSED))
    counts = [count_distribution.poisson_binomial(own) for own in confidences]
    if question.type == "threshold":
        bound = question.relation or NONE
        if bound == NONE:
            return yes_or_no(1 - max(confidences[0], default=_MISSED))
        text, confidence = yes_or_no(count_distribution.probability_within(counts[0], *limits(bound)))
        return text, min(confidence, 1 - _MISSED)
    if question.type == "comparison":
        compare = (
            count_distribution.probability_equal
            if question.relation == "equal"
            else count_distribution.probability_greater
        )
        return yes_or_no(compare(*counts))
    count = _count(detections[0])
    if question.type == "count":
        return str(count), min(float(counts[0][count]), 1 - _MISSED)
    points = [(detection.x, detection.y) for detection in detections[0] if detection.confidence >= SURE]
    if not points:
        return "nowhere", 1 - max(confidences[0], default=_MISSED)
    height, width = request.image.shape[:2]
    return locations.where(points, width, height), max(confidences[0])


def _count(detections: Sequence[Detection]) -> int:
    """How many are more likely real than not."""
    return sum(detection.confidence >= SURE for detection in detections)


def _summary(detections: Sequence[Detection], name: str) -> str:
    """ "3 ships found, the surest with 0.97"."""
    count = _count(detections)
    if not count:
        return f"no {name} found"
    surest = max(detection.confidence for detection in detections)
    what = f"1 {name}" if count == 1 else f"{count} {plural(name)}"
    return f"{what} found, the surest with {surest:.2f}"
