"""Requests with questions → Answers, from detections where objects are counted or located, else from the experts.

    question ─detectors─▶ Detections ─▶ Answer                          where the objects can be seen one by one
    question ─router─▶ prompts ─experts─▶ drafts ─weighing─▶ Answer     otherwise

Detections come first: a ship of five pixels is not in the vision tokens, so an expert cannot count it. All questions
about an image share one encoding of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rsmoe_core.config import DecodingConfig
from rsmoe_core.inference import count_distribution
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.model.language.base import Backend, Encoded
from rsmoe_core.model.moe import RoutedPrompts, draft, route
from rsmoe_core.questions.types import QUESTION_TYPES, UNPARSED, ParsedQuestion
from rsmoe_core.types import SURE, UNKNOWN, Answer, Detection, Generation, Request
from rsmoe_core.words import locations
from rsmoe_core.words.grammar import article, plural
from rsmoe_core.words.numbers import number

_ANSWER_TOKENS = 16
_COARSEST: Mapping[str, float] = MappingProxyType(
    {"car": 2.0, "bush": 3.0, "swimming pool": 5.0, "house": 10.0, "tennis court": 10.0, "basketball court": 10.0}
    | {"storage tank": 10.0, "mobile home": 10.0, "building": 20.0, "baseball field": 20.0, "bridge": 30.0}
    | {"stadium": 30.0, "church": 20.0, "train": 10.0, "container": 10.0, "road": 30.0, "runway": 60.0}
)
"""Ground sample distance, in metres per pixel, from which an object without a detector class cannot be seen."""
_MISSED = 0.02
"""Probability that an object is there although the detector found none."""


@dataclass(frozen=True)
class ExpertAnswers:
    """What the experts wrote about one question."""

    prompts: RoutedPrompts
    """The prompt of each expert that was asked."""
    drafts: Mapping[str, Generation]
    """Expert → its answer."""

    @property
    def has_confidence(self) -> bool:
        """Whether the backend says how sure it is of every answer."""
        return all(written.confidence is not None for written in self.drafts.values())

    def probability_of_yes(self) -> float:
        """Mean over the experts; without confidences, the share of them that say yes."""
        by_text = {"yes": lambda probability: probability, "no": lambda probability: 1 - probability}
        given = (by_text.get(text.text, lambda _: 0.5)(_probability(text)) for text in self.drafts.values())
        return sum(given) / len(self.drafts)

    def best(self) -> tuple[str, float]:
        """The text with the highest mean probability, and that mean; without confidences, the most frequent text."""
        weights: dict[str, float] = defaultdict(float)
        for written in self.drafts.values():
            weights[written.text] += _probability(written) / len(self.drafts)
        text = max(weights, key=lambda name: weights[name])
        return text, weights[text]

    def evidence(self) -> str:
        """What each expert wrote, in one line."""
        return "; ".join(
            f"{name} expert: {written.text}" + ("" if written.confidence is None else f" ({_probability(written):.2f})")
            for name, written in self.drafts.items()
        )


def _probability(written: Generation) -> float:
    """Of the whole text, its end included; one where the backend does not say, so that each expert weighs the same."""
    return 1.0 if written.confidence is None else written.confidence ** (written.tokens + 1)


def ask_experts(
    backend: Backend,
    encoded: Encoded,
    images: Sequence[int],
    questions: Sequence[ParsedQuestion],
    experts: Sequence[str],
    limits: DecodingConfig,
) -> list[ExpertAnswers]:
    """Route each question and have it answered; `images` gives the index of the image that each is about."""
    texts = [question.canonical for question in questions]
    routed = route(backend, encoded, images, texts, experts, limits.prompt_tokens)
    prompts = [own or _unrouted(question, experts) for own, question in zip(routed, questions, strict=True)]
    drafts = draft(backend, encoded, images, prompts, _ANSWER_TOKENS)
    return [ExpertAnswers(own, written) for own, written in zip(prompts, drafts, strict=True)]


def _unrouted(question: ParsedQuestion, experts: Sequence[str]) -> RoutedPrompts:
    """Where the router chose nobody: the question itself, to the experts that can answer its type."""
    able = [name for name in QUESTION_TYPES[question.type].experts if name in experts] or experts[:1]
    return dict.fromkeys(able, question.canonical)


def unanswerable(question: ParsedQuestion, detectors: Detectors, metres_per_pixel: float | None) -> str | None:
    """Why no image, or none at this ground sample distance, can answer a question; None where one can."""
    if question.type == UNPARSED:
        return question.reason
    if metres_per_pixel is None:
        return None
    for name in _subjects(question):
        too_coarse = metres_per_pixel >= _COARSEST.get(name, float("inf"))
        if too_coarse or (detectors.knows(name) and detectors.class_for(name, metres_per_pixel) is None):
            return f"{article(name)} {name} cannot be told from its surroundings at {metres_per_pixel:.3g} m per pixel"
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


def answer_from_experts(question: ParsedQuestion, answers: ExpertAnswers) -> Answer:
    """The answer by what the experts wrote; `unknown` where it is no answer to a question of that type."""
    question_type = QUESTION_TYPES[question.type]
    text, probability = _yes_or_no(answers.probability_of_yes()) if question_type.yes_or_no else answers.best()
    confidence = probability if answers.has_confidence else None
    counted = number(text) if question.type == "count" else None
    if counted is not None:
        text = f"{counted:.0f}"
    if not re.search(question_type.answer_pattern, text):
        evidence = f"the experts do not answer that: {answers.evidence()}"
        return Answer(UNKNOWN, confidence, evidence, prompts=answers.prompts)
    counts = {question.subject: float(text)} if question.type == "count" and question.subject else {}
    return Answer(text, confidence, answers.evidence(), MappingProxyType(counts), prompts=answers.prompts)


def _subjects(question: ParsedQuestion) -> list[str]:
    return [name for name in (question.subject, question.compared_with) if name]


def _yes_or_no(probability_of_yes: float) -> tuple[str, float]:
    return ("yes", probability_of_yes) if probability_of_yes >= SURE else ("no", 1 - probability_of_yes)


def _text_from_detections(
    question: ParsedQuestion, detections: Sequence[tuple[Detection, ...]], request: Request
) -> tuple[str, float]:
    """The answer's text and its probability; `detections` are of the subject, then of what it is compared with."""
    confidences = [[detection.confidence for detection in own] for own in detections]
    if question.type == "presence":
        return _yes_or_no(max(confidences[0], default=_MISSED))
    counts = [count_distribution.poisson_binomial(own) for own in confidences]
    if question.type == "comparison":
        compare = (
            count_distribution.probability_equal
            if question.relation == "equal"
            else count_distribution.probability_greater
        )
        return _yes_or_no(compare(*counts))
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
    """ "3 ships found, the surest at x 120, y 81 (0.97)"."""
    count = _count(detections)
    if not count:
        return f"no {name} found"
    surest = max(detections, key=lambda detection: detection.confidence)
    what = f"1 {name}" if count == 1 else f"{count} {plural(name)}"
    return f"{what} found, the surest at x {surest.x:.0f}, y {surest.y:.0f} ({surest.confidence:.2f})"
