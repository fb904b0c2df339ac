"""Answers to the questions of a data set → scores, beside those of a baseline without images. Free of torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsmoe_core.data.base import Dataset, Question, Sample
from rsmoe_core.metrics.answers import (
    AnsweredQuestion,
    AnswerScores,
    MajorityBaseline,
    majority_baseline,
    score_answers,
    score_baseline,
)
from rsmoe_core.types import Answer

QuestionKey = tuple[Path, str]
"""An image and the text of a question about it."""


@dataclass(frozen=True)
class AnswerEvaluation:
    """How the questions of one split were answered."""

    images: int
    scores: AnswerScores
    baseline: AnswerScores
    """Scores of the majority baseline on the same questions; its count error is that of the median count."""
    majority_baseline: MajorityBaseline
    """Learned from the training split, and for question types that it lacks, from the whole data set."""


def evaluate_answers(
    dataset: Dataset, samples: Sequence[Sample], answers: Mapping[QuestionKey, Answer]
) -> AnswerEvaluation:
    """Score the answers to all questions about the samples, of which there is at least one."""
    questions = [_answered(sample, question, answers) for sample, question in _questions(samples)]
    train, everything = (
        majority_baseline(_answered(sample, question, {}) for sample, question in _questions(part))
        for part in ([s for s in dataset.samples if s.split == "train"], dataset.samples)
    )
    baseline = MajorityBaseline(
        answers={**everything.answers, **train.answers},
        median_count=everything.median_count if train.median_count is None else train.median_count,
    )
    return AnswerEvaluation(len(samples), score_answers(questions), score_baseline(questions, baseline), baseline)


def _questions(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Question]]:
    return ((sample, question) for sample in samples for question in sample.questions)


def _answered(sample: Sample, question: Question, answers: Mapping[QuestionKey, Answer]) -> AnsweredQuestion:
    answer = answers.get((sample.image, question.text))
    text, confidence = (None, None) if answer is None else (answer.text, answer.confidence)
    return AnsweredQuestion(str(sample.image), question.type, question.answer, text, confidence)
