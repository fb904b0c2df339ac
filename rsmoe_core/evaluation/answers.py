"""Answers to the questions of a data set → scores, with what is answered without looking beside them. Free of torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.base import Dataset, Question, Sample, read_image
from rsmoe_core.metrics.answers import Answered, AnswerScores, UsualAnswers, score_answers, score_usual, usual_answers
from rsmoe_core.types import Answer as Said

Asked = tuple[Path, str]
"""A picture and the text of a question about it."""
Answer = tuple[str, float | None]
"""What was answered, and with what confidence if there is one."""
Ask = Callable[[Sequence[NDArray[np.uint8]], Sequence[str]], Sequence[Said]]
"""Answers one question about each of the pictures, in their order: `Engine.ask`."""


@dataclass(frozen=True)
class AnswerEvaluation:
    """How the questions of one split were answered."""

    pictures: int
    scores: AnswerScores
    baseline: AnswerScores
    """The usual answers to the same questions; its count error is that of the median count."""
    usual: UsualAnswers
    """Of the training split; for kinds that it does not ask for, of the whole data set."""


def ask_samples(
    samples: Sequence[Sample],
    ask: Ask,
    batch_size: int = 32,
    progress: Callable[[int], object] = lambda done: None,
) -> dict[Asked, Answer]:
    """What is answered to every question about the samples; `progress` gets the size of each finished batch."""
    asked = [(sample.image, question.text) for sample in samples for question in sample.questions]
    answers: dict[Asked, Answer] = {}
    for first in range(0, len(asked), batch_size):
        batch = asked[first : first + batch_size]
        pictures = {image: read_image(image) for image in {image for image, _ in batch}}
        said = ask([pictures[image] for image, _ in batch], [text for _, text in batch])
        answers |= {asked: (answer.text, answer.confidence) for asked, answer in zip(batch, said, strict=True)}
        progress(len(batch))
    return answers


def evaluate_answers(dataset: Dataset, samples: Sequence[Sample], said: Mapping[Asked, Answer]) -> AnswerEvaluation:
    """Score the answers to all questions about the samples, of which there is at least one."""
    rows = [_row(sample, question, said) for sample, question in _questions(samples)]
    trained = [sample for sample in dataset.samples if sample.split == "train"]
    first, second = (
        usual_answers(_row(sample, question, {}) for sample, question in _questions(known))
        for known in (trained, dataset.samples)
    )
    usual = UsualAnswers(
        majority={**second.majority, **first.majority},
        median_count=second.median_count if first.median_count is None else first.median_count,
    )
    return AnswerEvaluation(len(samples), score_answers(rows), score_usual(rows, usual), usual)


def _questions(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Question]]:
    return ((sample, question) for sample in samples for question in sample.questions)


def _row(sample: Sample, question: Question, said: Mapping[Asked, Answer]) -> Answered:
    text, confidence = said.get((sample.image, question.text), (None, None))
    return Answered(str(sample.image), question.type, question.answer, text, confidence)
