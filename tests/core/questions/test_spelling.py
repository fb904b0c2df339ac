from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.questions.spelling import REAL_WORDS, corrected, slips
from rsmoe_core.questions.vocabulary import vocabulary

CORRECTABLE = vocabulary().correctable

_OWN_WORDS = """
shops sheep chips shirts planets plans plates horses mouse boot coat toads glass three dessert posts sports lace cards
carts bride waiter gardener maintain towel palace count county store truth cat man 12 ship's
"""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("vesels", "vessels"),
        ("shisp", "ships"),
        ("airplans", "airplane"),
        ("aiplanes", "airplanes"),
        ("airpalens", "airplanes"),
        ("buildigns", "buildings"),
        ("brigde", "bridge"),
        ("runwey", "runway"),
        ("mny", "many"),
        ("wher", "where"),
        ("locaton", "location"),
    ],
)
def test_mistyped_words(typed: str, meant: str) -> None:
    found = corrected(typed, CORRECTABLE)
    assert CORRECTABLE.get(found, found) == CORRECTABLE.get(meant, meant)


def test_two_spellings_of_one_thing_are_no_doubt() -> None:
    assert CORRECTABLE[corrected("harbur", CORRECTABLE)] == "<port>"


@pytest.mark.parametrize("word", _OWN_WORDS.split())
def test_words_of_their_own_stay(word: str) -> None:
    assert corrected(word, {meant: meaning for meant, meaning in CORRECTABLE.items() if meant != word}) == word


def test_doubt_leaves_a_word_as_it_is() -> None:
    assert corrected("plann", {"plane": "<airplane>", "plant": "<green plant>"}) == "plann"
    assert corrected("palnt", {"plane": "<airplane>", "plant": "<green plant>"}) == "plant"


def test_known_words_need_no_guard() -> None:
    assert not REAL_WORDS & CORRECTABLE.keys()


@pytest.mark.parametrize(
    ("word", "other", "count"),
    [
        ("ship", "ship", 0),
        ("shp", "ship", 1),
        ("shiip", "ship", 1),
        ("sihp", "ship", 1),
        ("shop", "ship", 1),
        ("", "a", 1),
    ],
)
def test_slips(word: str, other: str, count: int) -> None:
    assert slips(word, other) == count


def test_a_wrong_consonant_is_two_slips() -> None:
    assert slips("shiq", "ship") == 2


_word = st.text("abeship", max_size=8)


@settings(deadline=None)
@given(word=_word, other=_word)
def test_slips_go_both_ways(word: str, other: str) -> None:
    assert slips(word, other) == slips(other, word)
    assert (slips(word, other) == 0) == (word == other)
