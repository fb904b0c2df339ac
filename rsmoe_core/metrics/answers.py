"""Scores of answers to questions about images, as RSVQA defines them (Lobry et al. 2020, arXiv 2003.07333).

OA, overall accuracy, is the share of right answers; AA, average accuracy, is the plain mean of the accuracies of the
question types. An answer is right despite another spelling:

    any type    equal in the canonical spelling of `rsmoe_core.words.numbers`: "The Center." is "center"
    counts      the same number: "There are 12 ships." is "12"
    ranges      a number is right if it lies in the true range, which includes its upper limit but not its lower one
    themes      equal names of scene classes: `rsmoe_core.words.scene_classes`

In all other question types a plural or a synonym is a different answer, as in RSVQA's own scores.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rsmoe_core.metrics.uncertainty import expected_calibration_error, interval_95
from rsmoe_core.words.numbers import RANGE, normalised, number
from rsmoe_core.words.scene_classes import same_scene_class


def is_correct(question_type: str, truth: str, prediction: str) -> bool:
    """Whether the predicted answer to a question of this type is right."""
    if question_type == "count" and (count := number(truth)) is not None:
        return number(prediction) == count
    right, answer = normalised(truth), normalised(prediction)
    if right == answer:
        return True
    if (limits := RANGE.fullmatch(right)) and (value := number(prediction)) is not None:
        low, high, least = limits.groups()
        return int(low) < value <= int(high) if low else value > int(least)
    return question_type == "theme" and same_scene_class(right, answer)


@dataclass(frozen=True)
class AnsweredQuestion:
    """One question, the right answer, and the answer that was predicted."""

    image: str
    """The image that it is about: questions about one image are resampled together for the intervals."""
    type: str
    """The question type: `presence`, `count`, ..."""
    truth: str
    prediction: str | None = None
    """None where the question was not answered, which counts as wrong."""
    confidence: float | None = None
    """Probability of the answer as its author states it, 0-1; None where it is unknown."""


@dataclass(frozen=True)
class TypeScore:
    """How the questions of one type were answered."""

    questions: int
    accuracy: float


@dataclass(frozen=True)
class CountError:
    """How far counts are off, over the count questions whose true answer is a number."""

    questions: int
    unreadable: int
    """Answers without a number or with several, and missing ones: neither exact nor within one."""
    exact: float
    """Share of all."""
    within_one: float
    """Share of all that are off by one at most."""
    mae: float | None
    """Mean absolute error of the readable answers; None where there are none."""
    mae_interval_95: tuple[float, float] | None
    mape: float | None
    """Mean absolute error as a share of the true count, over readable answers whose true count is not 0."""


@dataclass(frozen=True)
class AnswerScores:
    """How a set of questions was answered."""

    questions: int
    unanswered: int
    overall_accuracy: float
    """OA, 0-1."""
    interval_95: tuple[float, float]
    """Of OA: bootstrap over images (1,000 resamples, seed 0)."""
    average_accuracy: float
    """AA, 0-1."""
    types: dict[str, TypeScore]
    counts: CountError | None
    """None where no true answer is a count."""
    calibration_error: float | None
    """ECE of the answers that have a confidence; None where none has."""
    with_confidence: int


def score_answers(questions: Sequence[AnsweredQuestion]) -> AnswerScores:
    """Score the answers to at least one question."""
    correct = np.array([q.prediction is not None and is_correct(q.type, q.truth, q.prediction) for q in questions])
    types = np.array([q.type for q in questions])
    by_type = {
        name: TypeScore(int((types == name).sum()), float(correct[types == name].mean())) for name in sorted(set(types))
    }
    with_confidence = [
        (q.confidence, bool(right)) for q, right in zip(questions, correct, strict=True) if q.confidence is not None
    ]
    return AnswerScores(
        questions=len(questions),
        unanswered=sum(q.prediction is None for q in questions),
        overall_accuracy=float(correct.mean()),
        interval_95=interval_95(correct, [q.image for q in questions]),
        average_accuracy=statistics.fmean(score.accuracy for score in by_type.values()),
        types=by_type,
        counts=count_error(questions),
        calibration_error=expected_calibration_error(*zip(*with_confidence, strict=True)) if with_confidence else None,
        with_confidence=len(with_confidence),
    )


def count_error(questions: Iterable[AnsweredQuestion]) -> CountError | None:
    """How far the counts among the answers are off; None where there is no true count."""
    counted = [(q, count) for q in questions if q.type == "count" and (count := number(q.truth)) is not None]
    if not counted:
        return None
    readable = [
        (q.image, truth, abs(value - truth))
        for q, truth in counted
        if q.prediction is not None and (value := number(q.prediction)) is not None
    ]
    errors = [error for _, _, error in readable]
    relative_errors = [error / truth for _, truth, error in readable if truth > 0]
    return CountError(
        questions=len(counted),
        unreadable=len(counted) - len(readable),
        exact=sum(error == 0 for error in errors) / len(counted),
        within_one=sum(error <= 1 for error in errors) / len(counted),
        mae=statistics.fmean(errors) if errors else None,
        mae_interval_95=interval_95(errors, [image for image, _, _ in readable]) if errors else None,
        mape=statistics.fmean(relative_errors) if relative_errors else None,
    )


@dataclass(frozen=True)
class MajorityBaseline:
    """The answers of a baseline that never sees the image."""

    answers: Mapping[str, str]
    """Question type → its most frequent answer."""
    median_count: int | None
    """Median of the true counts, which is the baseline of the count error; None where there is none."""


def majority_baseline(questions: Iterable[AnsweredQuestion]) -> MajorityBaseline:
    """The baseline learned from the true answers; of equally frequent answers, the first counts."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    counts = []
    for question in questions:
        answers[question.type][normalised(question.truth)] += 1
        if question.type == "count" and (count := number(question.truth)) is not None:
            counts.append(count)
    majority = {name: found.most_common(1)[0][0] for name, found in answers.items()}
    return MajorityBaseline(majority, int(statistics.median_low(counts)) if counts else None)


def score_baseline(questions: Sequence[AnsweredQuestion], baseline: MajorityBaseline) -> AnswerScores:
    """The scores of the majority answers; the count error is that of the median count."""
    majority = [dataclasses.replace(q, prediction=baseline.answers.get(q.type), confidence=None) for q in questions]
    median = [dataclasses.replace(q, prediction=str(baseline.median_count)) for q in majority]
    return dataclasses.replace(score_answers(majority), counts=count_error(median))
