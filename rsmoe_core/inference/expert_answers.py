"""Questions → what the experts write → Answers.

    question ─router─▶ prompts ─experts─▶ drafts ─weighing─▶ Answer

All questions about an image share one encoding of it. Counts and comparisons are checked by other questions
(`cross_checks`): what is not there is not counted, and of two objects only one can be more.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from rsmoe_core.backends.base import Backend, Encoded
from rsmoe_core.config import DecodingConfig
from rsmoe_core.inference import count_distribution
from rsmoe_core.model.moe import RoutedPrompts, draft, route, split_parts
from rsmoe_core.questions import bounds
from rsmoe_core.questions.types import OPEN, QUESTION_TYPES, ParsedQuestion, canonical_question
from rsmoe_core.roles import BASE, ROUTER
from rsmoe_core.types import SURE, UNKNOWN, Answer, Generation
from rsmoe_core.words.grammar import article
from rsmoe_core.words.numbers import number

_ANSWER_TOKENS = 16
_CHECK_LABELS = {"present": "is there any?", "swapped": "the other way round?"}
"""Check → how the evidence names it."""
_TIE = 1e-9
"""What decides for "no" between equal probabilities."""


@dataclass(frozen=True)
class ExpertAnswers:
    """What the experts wrote about one question."""

    prompts: RoutedPrompts
    """The prompt of each expert that was asked."""
    drafts: Mapping[str, Generation]
    """Expert → its answer."""
    checks: Mapping[str, ExpertAnswers] = field(default_factory=dict)
    """What they wrote about the `cross_checks` of the question, by their names."""

    @property
    def replies(self) -> list[Generation]:
        """All that was written, to this question and to its checks."""
        return [*self.drafts.values(), *(one for check in self.checks.values() for one in check.replies)]

    @property
    def error(self) -> str | None:
        """Why there is no answer: the first error; None where every reply can be used."""
        return next((reply.error for reply in self.replies if reply.error is not None), None)

    @property
    def failed(self) -> bool:
        """Whether another try may succeed."""
        return any(reply.failed for reply in self.replies)

    @property
    def has_confidence(self) -> bool:
        """Whether the backend says how sure it is of every answer."""
        return all(written.confidence is not None for written in self.drafts.values())

    def says_yes_or_no(self) -> bool:
        """Whether any expert says so."""
        return any(written.text in ("yes", "no") for written in self.drafts.values())

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
            f"{_writer(role)}: {written.text}"
            + ("" if written.confidence is None else f" ({_probability(written):.2f})")
            for role, written in self.drafts.items()
        )


def _writer(role: str) -> str:
    return "model" if role == BASE else f"{role} expert"


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
    put = [put_to_experts(question) for question in questions]
    checks = [cross_checks(question) for question in put]
    asked = {
        (image, one.canonical): one
        for image, question, own in zip(images, put, checks, strict=True)
        for one in (question, *own.values())
    }
    rows = [image for image, _ in asked]
    able = [name for name in experts if name in backend.trained_roles]
    routed = [Generation("") for _ in rows]
    if ROUTER in backend.trained_roles:
        routed = route(backend, encoded, rows, [text for _, text in asked], limits.prompt_tokens)
    prompts = [
        (split_parts(own.text, experts) if one.type != OPEN else {}) or _unrouted(one, able)
        for own, one in zip(routed, asked.values(), strict=True)
    ]
    forms = [QUESTION_TYPES[one.type].reply_form() for one in asked.values()]
    drafts = draft(backend, encoded, rows, prompts, _ANSWER_TOKENS, forms)
    for own, prompt in zip(drafts, routed, strict=True):
        if prompt.failed:  # at another time the experts would be asked something else
            own[ROUTER] = prompt
    written = dict(zip(asked, map(ExpertAnswers, prompts, drafts), strict=True))
    return [
        replace(
            written[image, question.canonical],
            checks={name: written[image, one.canonical] for name, one in own.items()},
        )
        for image, question, own in zip(images, put, checks, strict=True)
    ]


def put_to_experts(question: ParsedQuestion) -> ParsedQuestion:
    """The question that the experts get: for a threshold, how many there are, or whether there are any."""
    if question.type != "threshold":
        return question
    return _of_type("presence" if question.relation == bounds.NONE else "count", question)


def cross_checks(question: ParsedQuestion) -> dict[str, ParsedQuestion]:
    """The questions whose answers an answer of experts to this one must not contradict: whether there are any
    (`present`), and whether there is more of the other object (`swapped`).
    """
    if question.type == "count":
        return {"present": _of_type("presence", question)}
    if question.type == "comparison" and question.relation == "more":
        subject, other = question.compared_with, question.subject
        canonical = canonical_question("comparison", subject, other, "more")
        swapped = replace(question, canonical=canonical, subject=subject, compared_with=other)
        return {"present": _of_type("presence", question), "swapped": swapped}
    return {}


def _of_type(type: str, question: ParsedQuestion) -> ParsedQuestion:
    """A question of another type about the same subject."""
    canonical = canonical_question(type, question.subject, attribute=question.attribute)
    return ParsedQuestion(question.text, type, canonical, question.subject, attribute=question.attribute)


def _unrouted(question: ParsedQuestion, experts: Sequence[str]) -> RoutedPrompts:
    """Where the router chose nobody: the question itself, to the experts that can answer its type.

    Without any experts of its own a model is asked once: in several roles it would only say the same several times.
    """
    able = [name for name in QUESTION_TYPES[question.type].experts if name in experts] or [*experts[:1]]
    if not able or question.type == OPEN:
        able = [BASE]
    return dict.fromkeys(able, question.canonical)


def answer_from_experts(question: ParsedQuestion, answers: ExpertAnswers) -> Answer:
    """The answer by what the experts wrote; `unknown` where it is no answer to a question of that type."""
    question_type = QUESTION_TYPES[question.type]
    if error := answers.error:
        return Answer(UNKNOWN, None, error, prompts=answers.prompts, error=error if answers.failed else None)
    if question.type == "count":
        return _count_by_experts(question, answers)
    if question_type.yes_or_no and put_to_experts(question).type != "count" and not answers.says_yes_or_no():
        return _no_answer(answers, answers.best()[1] if answers.has_confidence else None)
    if question.type == "threshold":
        return _threshold_by_experts(question, answers)
    evidence = answers.evidence()
    if question_type.yes_or_no:
        text, probability = yes_or_no(_probability_of_yes(answers))
        if answers.checks and text == "no" and answers.probability_of_yes() >= SURE:
            evidence += "".join(f"; {_CHECK_LABELS[name]} {check.evidence()}" for name, check in answers.checks.items())
    else:
        text, probability = answers.best()
    confidence = probability if answers.has_confidence else None
    # A model in its own words has been held to the form of the answer.
    if BASE not in answers.drafts and not re.search(question_type.answer_pattern, text):
        return _no_answer(answers, confidence)
    return Answer(text, confidence, evidence, prompts=answers.prompts)


def _no_answer(answers: ExpertAnswers, confidence: float | None) -> Answer:
    evidence = f"the experts do not answer that: {answers.evidence()}"
    return Answer(UNKNOWN, confidence, evidence, prompts=answers.prompts)


def _count_by_experts(question: ParsedQuestion, answers: ExpertAnswers) -> Answer:
    """The number that the experts write, if it agrees with whether they see any."""
    text, probability = answers.best()
    confidence = probability if answers.has_confidence else None
    counted, evidence = number(text), answers.evidence()
    if counted is None:
        return _no_answer(answers, confidence)
    if check := answers.checks.get("present"):
        evidence += f"; {_CHECK_LABELS['present']} {check.evidence()}"
        sees_any = check.probability_of_yes() >= SURE
        if sees_any != (counted > 0):
            seen = f"{article(question.subject or '')} {question.subject}" if sees_any else f"no {question.subject}"
            reason = f"the experts see {seen}, but count {counted:.0f}"
            return Answer(UNKNOWN, confidence, f"{reason}: {evidence}", prompts=answers.prompts)
    counts = {question.subject: counted} if question.subject else {}
    return Answer(f"{counted:.0f}", confidence, evidence, MappingProxyType(counts), prompts=answers.prompts)


def _threshold_by_experts(question: ParsedQuestion, answers: ExpertAnswers) -> Answer:
    """By the number that the experts write; for "no", by whether they see any."""
    if question.relation == bounds.NONE:
        text, probability = yes_or_no(1 - answers.probability_of_yes())
        confidence = probability if answers.has_confidence else None
        return Answer(text, confidence, answers.evidence(), prompts=answers.prompts)
    counted = _count_by_experts(question, answers)
    if counted.text == UNKNOWN:
        return counted
    number_of = float(counted.text)
    within = count_distribution.probability_within(
        count_distribution.negative_binomial(number_of), *bounds.limits(question.relation or bounds.NONE)
    )
    text, probability = yes_or_no(within)
    return replace(counted, text=text, confidence=probability if number_of else counted.confidence)


def _probability_of_yes(answers: ExpertAnswers) -> float:
    """Probability of "yes". More of one object than of another is not true both ways, nor where there is none of it."""
    probability = answers.probability_of_yes()
    if probability < SURE:
        return probability
    if "present" in answers.checks:
        probability = min(probability, answers.checks["present"].probability_of_yes())
    if "swapped" in answers.checks and (swapped := answers.checks["swapped"].probability_of_yes()) >= SURE:
        # both ways: the surer one, and neither if they are equally sure
        probability = min(probability, (probability + 1 - swapped) / 2 - _TIE)
    return probability


def yes_or_no(probability_of_yes: float) -> tuple[str, float]:
    """What is more probable, and how probable it is."""
    return ("yes", probability_of_yes) if probability_of_yes >= SURE else ("no", 1 - probability_of_yes)
