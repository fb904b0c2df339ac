from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.data.formats.rsvqa import ranged
from rsmoe_core.metrics.answers import (
    AnsweredQuestion,
    MajorityBaseline,
    TypeScore,
    count_error,
    is_correct,
    majority_baseline,
    score_answers,
    score_baseline,
)

ROWS = [
    AnsweredQuestion("1.jpg", "presence", "yes", "Yes.", 0.9),
    AnsweredQuestion("1.jpg", "presence", "no", "yes", 0.8),
    AnsweredQuestion("2.jpg", "presence", "no", "no", 0.7),
    AnsweredQuestion("2.jpg", "presence", "no"),
    AnsweredQuestion("1.jpg", "count", "four", "4"),
    AnsweredQuestion("2.jpg", "count", "two", "three ships"),
    AnsweredQuestion("3.jpg", "count", "0", "2"),
    AnsweredQuestion("3.jpg", "count", "eight", "many"),
    AnsweredQuestion("3.jpg", "theme", "harbor", "port"),
]


def test_overall_and_average_accuracy() -> None:
    scores = score_answers(ROWS)
    assert scores.types == {
        "count": TypeScore(4, 1 / 4),
        "presence": TypeScore(4, 2 / 4),
        "theme": TypeScore(1, 1),
    }
    assert scores.overall_accuracy == pytest.approx(4 / 9)
    assert scores.average_accuracy == pytest.approx((1 / 4 + 2 / 4 + 1) / 3)
    assert (scores.questions, scores.unanswered) == (9, 1)
    low, high = scores.interval_95
    assert low <= scores.overall_accuracy <= high
    assert scores.with_confidence == 3
    assert scores.calibration_error == pytest.approx((0.1 + 0.8 + 0.3) / 3)


def test_errors_of_counts() -> None:
    found = count_error(ROWS)
    assert found is not None
    assert (found.questions, found.unreadable) == (4, 1)
    assert (found.exact, found.within_one) == (1 / 4, 2 / 4)
    assert found.mae == pytest.approx((0 + 1 + 2) / 3)
    assert found.mape == pytest.approx((0 / 4 + 1 / 2) / 2), "a true count of 0 has no share"
    assert found.mae_interval_95 is not None
    assert found.mae_interval_95[0] <= found.mae <= found.mae_interval_95[1]


def test_without_numbers_there_is_no_count_error() -> None:
    ranges = [
        AnsweredQuestion("1.jpg", "count", "between 0 and 10", "5"),
        AnsweredQuestion("1.jpg", "presence", "yes", "yes"),
    ]
    scores = score_answers(ranges)
    assert scores.counts is None
    assert scores.overall_accuracy == 1
    assert scores.calibration_error is None
    unreadable = count_error([AnsweredQuestion("1.jpg", "count", "3", "many"), AnsweredQuestion("1.jpg", "count", "4")])
    assert unreadable is not None
    assert (unreadable.unreadable, unreadable.exact, unreadable.mae, unreadable.mape, unreadable.mae_interval_95) == (
        2,
        0,
        None,
        None,
        None,
    )


def test_the_majority_baseline_are_those_of_training() -> None:
    baseline = majority_baseline(ROWS)
    assert baseline == MajorityBaseline({"presence": "no", "count": "4", "theme": "harbor"}, 2)
    scores = score_baseline(ROWS, baseline)
    assert scores.types["presence"].accuracy == 3 / 4
    assert scores.counts is not None
    assert scores.counts.mae == pytest.approx((2 + 0 + 2 + 6) / 4), "by the median, not by the majority"
    assert majority_baseline([]) == MajorityBaseline({}, None)


answers = st.sampled_from(["yes", "no", "3", "three", "four", "several", "harbor", None])
rows = st.builds(
    AnsweredQuestion,
    image=st.sampled_from("abc"),
    type=st.sampled_from(["presence", "count", "theme"]),
    truth=answers.filter(bool),
    prediction=answers,
    confidence=st.none() | st.floats(0, 1),
)


@given(questions=st.lists(rows, min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_invariants_of_the_scores(questions: list[AnsweredQuestion]) -> None:
    scores = score_answers(questions)
    weighted = sum(score.questions * score.accuracy for score in scores.types.values())
    assert scores.overall_accuracy == pytest.approx(weighted / len(questions))
    perfect = score_answers([dataclasses.replace(row, prediction=row.truth) for row in questions])
    assert perfect.overall_accuracy == perfect.average_accuracy == 1
    if scores.counts is not None and perfect.counts is not None:
        assert scores.counts.exact <= scores.counts.within_one
        assert (perfect.counts.mae, perfect.counts.unreadable) == (0, 0)
    baseline = score_baseline(questions, majority_baseline(questions))
    assert baseline.overall_accuracy >= 1 / len(questions)


@pytest.mark.parametrize(
    ("question_type", "truth", "prediction", "right"),
    [
        ("presence", "yes", "Yes, it is.", True),
        ("presence", "yes", "no", False),
        ("count", "two", "2 ships", True),
        ("count", "two", "many", False),
        ("count", "several", "several", True),
        ("count", "between 0 and 10", "0 to 10", True),
        ("count", "between 0 and 10", "10", True),
        ("count", "between 0 and 10", "0", False),
        ("count", "more than 1000", "1,001", True),
        ("area", "between 10m2 and 100m2", "45 m2", True),
        ("area", "0m2", "0", True),
        ("theme", "harbor", "Ports", True),
        ("theme", "harbor", "bridge", False),
        ("location", "harbor", "port", False),
        ("category", "tree", "trees", False),
    ],
)
def test_which_answers_are_right(question_type: str, truth: str, prediction: str, right: bool) -> None:
    assert is_correct(question_type, truth, prediction) is right


words = st.sampled_from(
    ["The", "a", "lower", "left,", "twenty", "one", "YES", "center.", "3", "m2", "no", "about", "and"]
)


@given(answer=st.lists(words, max_size=5).map(" ".join), question_type=st.sampled_from(["count", "theme", "location"]))
@settings(max_examples=100, deadline=None)
def test_an_answer_equals_itself_in_any_spelling(answer: str, question_type: str) -> None:
    assert is_correct(question_type, answer, answer.upper() + " .")


@given(count=st.integers(0, 3000), other=st.integers(0, 3000))
@settings(max_examples=100, deadline=None)
def test_ranges_are_as_in_rsvqa(count: int, other: int) -> None:
    assert is_correct("count", ranged(count), str(count))
    assert is_correct("area", ranged(count, "m2"), f"{count} m2")
    assert is_correct("count", ranged(count), str(other)) == (ranged(count) == ranged(other))
    assert is_correct("count", ranged(count), ranged(other)) == (ranged(count) == ranged(other))
