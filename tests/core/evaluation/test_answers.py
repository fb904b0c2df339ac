from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsmoe_core import types
from rsmoe_core.data.base import Dataset, Question, Sample
from rsmoe_core.evaluation.answers import ask_samples, evaluate_answers

TREES, COUNT = "are there trees?", "how many ships are there?"


def sample(image: Path, split: str, trees: str, ships: str) -> Sample:
    questions = (Question(TREES, trees, "presence"), Question(COUNT, ships, "count"))
    return Sample(image, split, (), questions=questions)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Pictures as bright as their number; most of `train` has trees, and five ships."""
    samples = []
    for number, (split, trees, ships) in enumerate(
        [("train", "yes", "5"), ("train", "yes", "5"), ("train", "no", "90"), ("test", "yes", "2"), ("test", "no", "1")]
    ):
        Image.new("RGB", (4, 4), (number, number, number)).save(tmp_path / f"{number}.png")
        samples.append(sample(tmp_path / f"{number}.png", split, trees, ships))
    return Dataset(tmp_path, tuple(samples), ())


def test_every_question_is_asked_of_its_picture(dataset: Dataset) -> None:
    batches: list[int] = []

    def ask(images: Sequence[np.ndarray], questions: Sequence[str]) -> list[types.Answer]:
        return [types.Answer(f"{i[0, 0, 0]} {question}", 0.5) for i, question in zip(images, questions, strict=True)]

    said = ask_samples(dataset.split("test"), ask, batch_size=3, progress=batches.append)
    assert batches == [3, 1]
    assert said == {
        (dataset.root / f"{number}.png", question): (f"{number} {question}", 0.5)
        for number in (3, 4)
        for question in (TREES, COUNT)
    }


def test_answers_are_scored_beside_the_usual_ones_of_training(dataset: Dataset) -> None:
    test = dataset.split("test")
    said = {(test[0].image, TREES): ("Yes.", 0.8), (test[0].image, COUNT): ("two", None)}
    result = evaluate_answers(dataset, test, said)
    assert result.pictures == 2
    assert (result.scores.questions, result.scores.unanswered) == (4, 2)
    assert result.scores.overall_accuracy == 0.5
    assert result.scores.with_confidence == 1
    assert result.usual.majority == {"presence": "yes", "count": "5"}
    assert result.usual.median_count == 5
    assert result.baseline.overall_accuracy == 1 / 4
    assert result.baseline.counts is not None
    assert result.baseline.counts.mae == (3 + 4) / 2


def test_kinds_that_training_does_not_ask_for_are_learned_from_the_rest(dataset: Dataset) -> None:
    test = dataset.split("test")
    result = evaluate_answers(Dataset(dataset.root, test, ()), test, {})
    assert result.usual.majority == {"presence": "yes", "count": "2"}
    assert result.scores.overall_accuracy == 0
