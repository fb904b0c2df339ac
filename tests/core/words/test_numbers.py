from __future__ import annotations

import pytest

from rsmoe_core.words.numbers import normalised, number


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (" The  Center. ", "center"),
        ("Yes.", "yes"),
        ("yes, there are two", "yes"),
        ("No there are none", "no"),
        ("no parking", "no parking"),
        ("Twenty-two", "22"),
        ("forty nine", "49"),
        ("1,000", "1000"),
        ("left, center and right", "left center and right"),
        ("between zero and ten", "between 0 and 10"),
        ("0-10", "between 0 and 10"),
        ("from 10 to 100", "between 10 and 100"),
        ("> 1,000", "more than 1000"),
        ("over 1000", "more than 1000"),
        ("between 10m2 and 100m2", "between 10 and 100"),
        ("45 m²", "45"),
        ("45 square meters.", "45"),
        ("more than 1000m2", "more than 1000"),
        ("3.5", "3.5"),
        ("semi-detached", "semi detached"),
        ("", ""),
    ],
)
def test_equal_answers_have_one_canonical_spelling(text: str, canonical: str) -> None:
    assert normalised(text) == canonical
    assert normalised(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("12", 12),
        ("about twenty-eight", 28),
        ("There are 12 ships.", 12),
        ("none", 0),
        ("No ships", 0),
        ("zero", 0),
        ("0m2", 0),
        ("2.0", 2),
        ("several", None),
        ("two red and three blue ones", None),
        ("between 0 and 10", None),
        ("more than 1000", None),
        ("", None),
    ],
)
def test_a_count_is_the_only_number_of_an_answer(text: str, count: float | None) -> None:
    assert number(text) == count
