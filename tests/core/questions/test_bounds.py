from __future__ import annotations

import pytest

from rsmoe_core.questions.bounds import limits, with_bounds


@pytest.mark.parametrize(
    ("question", "bounded"),
    [
        ("at least 3 ships", "[at least 3] ships"),
        ("more than ten ships", "[at least 11] ships"),
        ("over 5 ships", "[at least 6] ships"),
        ("3 or more ships", "[at least 3] ships"),
        ("fewer than 3 ships", "[at most 2] ships"),
        ("no more than 3 ships", "[at most 3] ships"),
        ("three or fewer ships", "[at most 3] ships"),
        ("less than one ship", "[no] ship"),
        ("are there no ships", "are there [no] ships"),
        ("at least one ship", " ship"),
        ("more than zero ships", " ships"),
        # no bounds
        ("at least 0 ships", "at least 0 ships"),
        ("fewer than 0 ships", "fewer than 0 ships"),
        ("more than 50% water", "more than 50% water"),
        ("more than 5 percent water", "more than 5 percent water"),
        ("more than 1,000 ships", "more than 1,000 ships"),
        ("more than 12345678 ships", "more than 12345678 ships"),
        ("more ships than five planes", "more ships than five planes"),
        ("5 ships", "5 ships"),
    ],
)
def test_bounds_of_a_question(question: str, bounded: str) -> None:
    assert with_bounds(question) == bounded


def test_limits_of_a_bound() -> None:
    assert [limits(bound) for bound in ("at least 6", "at most 2", "no")] == [(6, None), (0, 2), (0, 0)]
