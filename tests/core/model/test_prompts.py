from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsmoe_core.model.prompts import fusion_prompt, join_parts, marker, split_parts

EXPERTS = ("theme", "objects", "relations")
TEXTS = st.text(st.characters(exclude_characters="<>"), max_size=20)


@given(st.dictionaries(st.sampled_from(EXPERTS), TEXTS), TEXTS)
def test_joined_parts_are_split_again(parts: dict[str, str], before: str) -> None:
    text = f"{before} {join_parts(parts, EXPERTS)}"
    assert split_parts(text, EXPERTS) == {name: part.strip() for name, part in parts.items() if part.strip()}


@given(st.lists(st.sampled_from([*map(marker, EXPERTS), "<hazards>", "<", "a port", " ", ",", "théâtre"]), max_size=12))
def test_any_sequence_of_markers_and_words_is_split(pieces: list[str]) -> None:
    parts: dict[str, list[str]] = {}
    head = None
    for piece in pieces:
        if piece in map(marker, EXPERTS):
            head = piece.strip("<>")
        elif head is not None:
            parts.setdefault(head, []).append(piece)
    expected = {name: "".join(own).strip() for name, own in parts.items()}
    assert split_parts("".join(pieces), EXPERTS) == {name: part for name, part in expected.items() if part}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("<theme> a port <objects> two ships", {"theme": "a port", "objects": "two ships"}),
        ("<theme>a port<objects>two ships", {"theme": "a port", "objects": "two ships"}),
        ("<objects> two ships <theme> a port", {"theme": "a port", "objects": "two ships"}),
        ("<objects> two ships <theme>", {"objects": "two ships"}),
        ("<theme> <objects> two ships", {"objects": "two ships"}),
        ("<objects> two ships <theme> a port <objects> a crane", {"objects": "two ships  a crane", "theme": "a port"}),
        ("a port <objects> two ships", {"objects": "two ships"}),
        ("<theme> a port <colour> red", {"theme": "a port <colour> red"}),
        ("<themes> a port <Theme> a port", {}),
        ("no marker at all", {}),
        ("", {}),
    ],
)
def test_parts_are_headed_by_markers(text: str, parts: dict[str, str]) -> None:
    assert split_parts(text, EXPERTS) == parts


def test_names_are_no_patterns() -> None:
    assert split_parts("<abc> one <a.c> two", ("a.c",)) == {"a.c": "two"}


def test_the_fusion_prompt_holds_instruction_and_drafts_in_the_order_of_the_experts() -> None:
    drafts = {"relations": "trees near a pond", "theme": "park"}
    assert fusion_prompt("describe", drafts, EXPERTS) == "describe <theme> park <relations> trees near a pond"
    assert fusion_prompt("describe", drafts, EXPERTS[::-1]) == "describe <relations> trees near a pond <theme> park"
    assert fusion_prompt("describe", {}, EXPERTS).strip() == "describe"
