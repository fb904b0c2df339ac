from __future__ import annotations

import pytest

from rsmoe_core.questions.vocabulary import KINDS, names_object, vocabulary
from rsmoe_core.words.grammar import plural
from rsmoe_core.words.lexicon import ATTRIBUTES, NAMES, RELATIONS

TOKENS = vocabulary().tokens


@pytest.mark.parametrize("name", sorted(set(NAMES.values()) - {"boat"}))
def test_every_object_is_known_in_the_singular_and_the_plural(name: str) -> None:
    assert TOKENS[name] == TOKENS[plural(name)] == f"<{name}>"


def test_boats_and_ships_are_one_object() -> None:
    assert {TOKENS[word] for word in ("boat", "boats", "watercraft", "vessels", "ship")} == {"<ship>"}


def test_kinds_of_objects_are_no_objects() -> None:
    assert {TOKENS[word] for word in ("yacht", "tankers", "truck", "buses", "piers", "jets")}.isdisjoint(
        f"<{name}>" for name in NAMES.values()
    )
    assert set(KINDS.values()) <= set(NAMES.values())


@pytest.mark.parametrize("relation", sorted(set(RELATIONS.values())))
def test_every_relation_is_known(relation: str) -> None:
    assert TOKENS[relation] == f"{{{relation}}}"


def test_attributes_are_known_unless_they_name_an_object() -> None:
    assert {TOKENS[word] for word in ATTRIBUTES} <= ATTRIBUTES | {"<square>"}
    assert TOKENS["grey"] == "gray"
    assert names_object("square")
    assert not names_object("red")


def test_objects_have_names_of_the_lexicon() -> None:
    assert {token.strip("<>") for token in TOKENS.values() if token.startswith("<")} <= set(NAMES.values())


def test_words_of_question_types() -> None:
    assert TOKENS["colours"] == "color"
    assert TOKENS["outnumber"] == "outnumber"
    assert "" not in TOKENS


def test_words_of_spellings() -> None:
    words = vocabulary()
    assert max(len(spelling.split()) for spelling in words.tokens) == words.longest
    assert words.correctable.items() <= words.known_words.items()
    assert words.known_words["tennis"] == "tennis"
    assert words.known_words["photo"] == "picture"
