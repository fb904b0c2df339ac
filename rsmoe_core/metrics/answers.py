"""Scores of answers to questions about pictures, as RSVQA has them (Lobry et al. 2020, arXiv 2003.07333).

OA, overall accuracy, is the share of right answers; AA, average accuracy, the plain mean of the accuracies of the types
of questions. `answer_text` says when an answer is right.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rsmoe_core.metrics.answer_text import agrees, normalised, number
from rsmoe_core.metrics.calibration import expected_calibration_error
from rsmoe_core.metrics.intervals import interval_95


@dataclass(frozen=True)
class Answered:
    """One question, the right answer, and what was answered."""

    picture: str
    """What it is about: questions about one picture are drawn together for the intervals."""
    type: str
    """What is asked for: `presence`, `count`, ..."""
    truth: str
    said: str | None = None
    """None where the question was not answered, which counts as wrong."""
    confidence: float | None = None
    """Probability of the answer as its author gives it, 0-1."""


@dataclass(frozen=True)
class KindScore:
    """How the questions of one kind were answered."""

    questions: int
    accuracy: float


@dataclass(frozen=True)
class CountError:
    """How far counts are off, over the count questions whose true answer is a number."""

    questions: int
    unreadable: int
    """Answers that give no number, or not one only, and missing ones: neither exact nor within one."""
    exact: float
    """Share of all."""
    within_one: float
    """Share of all that are off by one at most."""
    mae: float | None
    """Mean absolute error of those that can be read; None where none can."""
    mae_interval_95: tuple[float, float] | None
    mape: float | None
    """Mean absolute error as a share of the true count, over those that can be read and whose true count is not 0."""


@dataclass(frozen=True)
class AnswerScores:
    """How a set of questions was answered."""

    questions: int
    unanswered: int
    overall_accuracy: float
    """OA, 0-1."""
    interval_95: tuple[float, float]
    """Of OA: bootstrap over pictures (1,000 resamples, seed 0)."""
    average_accuracy: float
    """AA, 0-1."""
    types: dict[str, KindScore]
    counts: CountError | None
    """None where no true answer is a count."""
    calibration_error: float | None
    """ECE of the answers that have a confidence; None where none has."""
    with_confidence: int


def score_answers(rows: Sequence[Answered]) -> AnswerScores:
    """Score at least one question."""
    right = np.array([row.said is not None and agrees(row.type, row.truth, row.said) for row in rows])
    types = np.array([row.type for row in rows])
    by_kind = {
        kind: KindScore(int((types == kind).sum()), float(right[types == kind].mean())) for kind in sorted(set(types))
    }
    sure = [(row.confidence, bool(so)) for row, so in zip(rows, right, strict=True) if row.confidence is not None]
    return AnswerScores(
        questions=len(rows),
        unanswered=sum(row.said is None for row in rows),
        overall_accuracy=float(right.mean()),
        interval_95=interval_95(right, [row.picture for row in rows]),
        average_accuracy=statistics.fmean(score.accuracy for score in by_kind.values()),
        types=by_kind,
        counts=count_error(rows),
        calibration_error=expected_calibration_error(*zip(*sure, strict=True)) if sure else None,
        with_confidence=len(sure),
    )


def count_error(rows: Iterable[Answered]) -> CountError | None:
    """How far the counts among the answers are off; None where there is no true count."""
    counted = [(row, count) for row in rows if row.type == "count" and (count := number(row.truth)) is not None]
    if not counted:
        return None
    read = [
        (row.picture, true, abs(value - true))
        for row, true in counted
        if row.said is not None and (value := number(row.said)) is not None
    ]
    errors = [error for _, _, error in read]
    shares = [error / true for _, true, error in read if true > 0]
    return CountError(
        questions=len(counted),
        unreadable=len(counted) - len(read),
        exact=sum(error == 0 for error in errors) / len(counted),
        within_one=sum(error <= 1 for error in errors) / len(counted),
        mae=statistics.fmean(errors) if errors else None,
        mae_interval_95=interval_95(errors, [picture for picture, _, _ in read]) if errors else None,
        mape=statistics.fmean(shares) if shares else None,
    )


@dataclass(frozen=True)
class UsualAnswers:
    """What is answered without looking."""

    majority: Mapping[str, str]
    """Kind of question → its commonest answer."""
    median_count: int | None
    """Of the true counts; None where there is none."""


def usual_answers(rows: Iterable[Answered]) -> UsualAnswers:
    """The usual answers among the right ones; of equally common ones the first."""
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    counts = []
    for row in rows:
        answers[row.type][normalised(row.truth)] += 1
        if row.type == "count" and (count := number(row.truth)) is not None:
            counts.append(count)
    majority = {kind: found.most_common(1)[0][0] for kind, found in answers.items()}
    return UsualAnswers(majority, int(statistics.median_low(counts)) if counts else None)


def score_usual(rows: Sequence[Answered], usual: UsualAnswers) -> AnswerScores:
    """The scores of the majority answers; for the count error, of the median count."""
    blind = [dataclasses.replace(row, said=usual.majority.get(row.type), confidence=None) for row in rows]
    median = [dataclasses.replace(row, said=str(usual.median_count)) for row in blind]
    return dataclasses.replace(score_answers(blind), counts=count_error(median))
