from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.data.formats.rsvqa import ranged
from rsmoe_core.metrics.answer_text import is_correct


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
