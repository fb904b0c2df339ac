from __future__ import annotations

import pytest

from rsmoe_core.questions.vocabulary import KNOWN_WORDS, LONGEST, MEANINGS, TYPED_AMISS, names_thing
from rsmoe_core.words.grammar import plural
from rsmoe_core.words.lexicon import ATTRIBUTES, NAMES, RELATIONS


@pytest.mark.parametrize("name", sorted(set(NAMES.values()) - {"boat"}))
def test_every_thing_is_known_in_the_singular_and_the_plural(name: str) -> None:
    assert MEANINGS[name] == MEANINGS[plural(name)] == f"<{name}>"


def test_boats_and_ships_are_one_thing() -> None:
    assert {MEANINGS[word] for word in ("boat", "boats", "yacht", "vessels", "ship", "tankers")} == {"<ship>"}


@pytest.mark.parametrize("relation", sorted(set(RELATIONS.values())))
def test_every_relation_is_known(relation: str) -> None:
    assert MEANINGS[relation] == f"{{{relation}}}"


def test_attributes_are_known_unless_they_name_a_thing() -> None:
    assert {MEANINGS[word] for word in ATTRIBUTES} <= ATTRIBUTES | {"<square>"}
    assert MEANINGS["grey"] == "gray"
    assert names_thing("square")
    assert not names_thing("red")


def test_a_thing_means_a_name_of_the_lexicon() -> None:
    assert {meaning.strip("<>") for meaning in MEANINGS.values() if meaning.startswith("<")} <= set(NAMES.values())


def test_words_of_spellings() -> None:
    assert max(len(spelling.split()) for spelling in MEANINGS) == LONGEST
    assert TYPED_AMISS.items() <= KNOWN_WORDS.items()
    assert KNOWN_WORDS["tennis"] == "tennis"
    assert KNOWN_WORDS["photo"] == "picture"
