from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_core.data.base import Dataset, Question, Sample
from rsmoe_core.evaluation.answers import evaluate_answers
from rsmoe_core.types import Answer

TREES, COUNT = "are there trees?", "how many ships are there?"


def sample(name: str, split: str, trees: str, ships: str) -> Sample:
    questions = (Question(TREES, trees, "presence"), Question(COUNT, ships, "count"))
    return Sample(Path(name), split, (), questions=questions)


@pytest.fixture
def dataset() -> Dataset:
    """Most images of `train` have trees, and five ships."""
    rows = [
        ("train", "yes", "5"),
        ("train", "yes", "5"),
        ("train", "no", "90"),
        ("test", "yes", "2"),
        ("test", "no", "1"),
    ]
    return Dataset(Path("."), tuple(sample(f"{number}.png", *row) for number, row in enumerate(rows)), ())


def test_answers_are_scored_beside_the_majority_baseline(dataset: Dataset) -> None:
    test = dataset.split("test")
    answers = {(test[0].image, TREES): Answer("Yes.", 0.8), (test[0].image, COUNT): Answer("two", None)}
    result = evaluate_answers(dataset, test, answers)
    assert result.images == 2
    assert (result.scores.questions, result.scores.unanswered) == (4, 2)
    assert result.scores.overall_accuracy == 0.5
    assert result.scores.with_confidence == 1
    assert result.majority_baseline.answers == {"presence": "yes", "count": "5"}
    assert result.majority_baseline.median_count == 5
    assert result.baseline.overall_accuracy == 1 / 4
    assert result.baseline.counts is not None
    assert result.baseline.counts.mae == (3 + 4) / 2


def test_question_types_that_training_lacks_have_a_baseline_from_the_whole_data_set(dataset: Dataset) -> None:
    test = dataset.split("test")
    result = evaluate_answers(Dataset(dataset.root, test, ()), test, {})
    assert result.majority_baseline.answers == {"presence": "yes", "count": "2"}
    assert result.scores.overall_accuracy == 0
