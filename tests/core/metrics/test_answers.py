from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.metrics.answers import (
    Answered,
    KindScore,
    UsualAnswers,
    count_error,
    score_answers,
    score_usual,
    usual_answers,
)

ROWS = [
    Answered("1.jpg", "presence", "yes", "Yes.", 0.9),
    Answered("1.jpg", "presence", "no", "yes", 0.8),
    Answered("2.jpg", "presence", "no", "no", 0.7),
    Answered("2.jpg", "presence", "no"),
    Answered("1.jpg", "count", "four", "4"),
    Answered("2.jpg", "count", "two", "three ships"),
    Answered("3.jpg", "count", "0", "2"),
    Answered("3.jpg", "count", "eight", "many"),
    Answered("3.jpg", "theme", "harbor", "port"),
]


def test_overall_and_average_accuracy() -> None:
    scores = score_answers(ROWS)
    assert scores.types == {
        "count": KindScore(4, 1 / 4),
        "presence": KindScore(4, 2 / 4),
        "theme": KindScore(1, 1),
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
    ranges = [Answered("1.jpg", "count", "between 0 and 10", "5"), Answered("1.jpg", "presence", "yes", "yes")]
    scores = score_answers(ranges)
    assert scores.counts is None
    assert scores.overall_accuracy == 1
    assert scores.calibration_error is None
    unread = count_error([Answered("1.jpg", "count", "3", "many"), Answered("1.jpg", "count", "4")])
    assert unread is not None
    assert (unread.unreadable, unread.exact, unread.mae, unread.mape, unread.mae_interval_95) == (
        2,
        0,
        None,
        None,
        None,
    )


def test_the_usual_answers_are_those_of_training() -> None:
    usual = usual_answers(ROWS)
    assert usual == UsualAnswers({"presence": "no", "count": "4", "theme": "harbor"}, 2)
    blind = score_usual(ROWS, usual)
    assert blind.types["presence"].accuracy == 3 / 4
    assert blind.counts is not None
    assert blind.counts.mae == pytest.approx((2 + 0 + 2 + 6) / 4), "by the median, not by the majority"
    assert usual_answers([]) == UsualAnswers({}, None)


answers = st.sampled_from(["yes", "no", "3", "three", "four", "several", "harbor", None])
rows = st.builds(
    Answered,
    picture=st.sampled_from("abc"),
    kind=st.sampled_from(["presence", "count", "theme"]),
    truth=answers.filter(bool),
    said=answers,
    confidence=st.none() | st.floats(0, 1),
)


@given(asked=st.lists(rows, min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_what_holds_of_any_answers(asked: list[Answered]) -> None:
    scores = score_answers(asked)
    weighed = sum(kind.questions * kind.accuracy for kind in scores.types.values())
    assert scores.overall_accuracy == pytest.approx(weighed / len(asked))
    perfect = score_answers([dataclasses.replace(row, said=row.truth) for row in asked])
    assert perfect.overall_accuracy == perfect.average_accuracy == 1
    if scores.counts is not None and perfect.counts is not None:
        assert scores.counts.exact <= scores.counts.within_one
        assert (perfect.counts.mae, perfect.counts.unreadable) == (0, 0)
    blind = score_usual(asked, usual_answers(asked))
    assert blind.overall_accuracy >= 1 / len(asked)
