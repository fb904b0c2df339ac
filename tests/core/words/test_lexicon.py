from __future__ import annotations

import re

from rsmoe_core.words.lexicon import (
    ASKS_ABOUT_SUBJECT,
    COUNTED,
    FAMILIES,
    LONGEST_SPELLING,
    MASS,
    NAMES,
    PRONOUNS,
    QUANTITIES,
    QUESTIONS,
    RELATIONS,
    SINGULAR_IN_S,
)


def test_every_name_knows_itself_and_its_variants() -> None:
    assert all(NAMES[name] == name for name in NAMES.values())
    assert (NAMES["plane"], NAMES["aircrafts"], NAMES["harbour"], NAMES["grass"]) == (
        "airplane",
        "airplane",
        "port",
        "grassland",
    )


def test_no_spelling_is_both_a_name_and_a_relation() -> None:
    assert not NAMES.keys() & RELATIONS.keys()


def test_spellings_are_within_the_longest_and_are_words_that_occur_in_sentences() -> None:
    for spelling in (*NAMES, *RELATIONS):
        assert len(spelling.split()) <= LONGEST_SPELLING
        assert re.findall(r"[a-z][a-z'-]*", spelling) == spelling.split()


def test_tables_speak_of_each_other() -> None:
    assert set(MASS) <= set(NAMES.values())
    assert set(COUNTED) <= set(QUANTITIES.values())
    assert set(QUESTIONS) | set(ASKS_ABOUT_SUBJECT) <= set(RELATIONS.values())
    assert {name.split()[-1] for name in NAMES} >= SINGULAR_IN_S
    assert not PRONOUNS & (NAMES.keys() | RELATIONS.keys())
    assert all(question.count("{}") == 1 for question in QUESTIONS.values())
    assert not set(FAMILIES.values()) & set(COUNTED)
