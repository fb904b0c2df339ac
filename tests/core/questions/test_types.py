from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from rsmoe_core.errors import UsageError
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.questions.types import (
    END,
    QUESTION_TYPES,
    START,
    SUBJECT,
    UNPARSED,
    ParsedQuestion,
    QuestionType,
    answering_experts,
    canonical_question,
    question_type,
    register_question_type,
)
from rsmoe_core.roles import EXPERTS

SHAPE = QuestionType(
    name="shape",
    wording="what shape is the {subject}?",
    experts=("objects",),
    patterns=(rf"{START}what shape (?:is|of|do) {SUBJECT}{END}",),
    words={"shape": "form, outline"},
    keywords=r"\bshape\b",
)


@pytest.fixture
def shape() -> Iterator[QuestionType]:
    before = dict(QUESTION_TYPES)
    register_question_type(SHAPE)
    yield SHAPE
    QUESTION_TYPES.clear()
    QUESTION_TYPES.update(before)


@pytest.mark.parametrize(
    ("type", "parts", "canonical"),
    [
        ("presence", {"subject": "ship"}, "is there any ship?"),
        ("presence", {"subject": "car", "attribute": "red"}, "is there any red car?"),
        ("count", {"subject": "church"}, "how many churches are there?"),
        ("count", {"subject": "car", "attribute": "red"}, "how many red cars are there?"),
        (
            "comparison",
            {"subject": "ship", "compared_with": "factory", "relation": "more"},
            "are there more ships than factories?",
        ),
        (
            "comparison",
            {"subject": "car", "compared_with": "tree", "relation": "equal"},
            "are there as many cars as trees?",
        ),
        ("theme", {}, "what kind of place is this?"),
        ("rural_urban", {}, "is this a rural or an urban area?"),
        ("location", {"subject": "airplane"}, "where is the airplane?"),
        ("location", {"subject": "car", "attribute": "yellow"}, "where is the yellow car?"),
        ("relation", {"subject": "playground", "relation": "near"}, "what is near the playground?"),
        ("relation", {"subject": "stadium", "relation": "around"}, "what is around the stadium?"),
        ("color", {"subject": "building"}, "what color is the building?"),
        ("description", {}, "describe the picture"),
    ],
)
def test_canonical_wording(type: str, parts: dict[str, str], canonical: str) -> None:
    assert canonical_question(type, **parts) == canonical


@pytest.mark.parametrize(
    ("given", "type"),
    [
        ("comp", "comparison"),
        ("area_comp", "comparison"),
        ("rural_urban", "rural_urban"),
        ("Object Quantity", "count"),
        ("quantity", "count"),
        ("object existence", "presence"),
        ("ab_position", "location"),
        ("scene", "theme"),
        ("object shape", "shape"),
        ("reasoning", "reasoning"),
        ("time of day", "time_of_day"),
    ],
)
def test_type_given_by_a_data_set(given: str, type: str) -> None:
    assert question_type("what is it?", given) == type


@pytest.mark.parametrize("given", [None, "", " "])
@pytest.mark.parametrize(
    ("text", "type"),
    [
        ("What is the theme of this picture?", "theme"),
        ("Does this picture contain trees?", "presence"),
        ("is there a road?", "presence"),
        ("How many trees in the picture?", "count"),
        ("what is the number of roads?", "count"),
        ("Is the number of roads equal to the number of buildings?", "comparison"),
        ("are there more buildings than roads?", "comparison"),
        ("Is it a rural or an urban area?", "rural_urban"),
        ("What is the area covered by buildings?", "area"),
        ("Is the area covered by buildings large?", "area"),
        ("What is the location of the boats in this picture?", "location"),
        ("Where are the boats?", "location"),
        ("what color is the roof?", "color"),
        ("what shape is the roof?", "other"),
        ("why is it wet?", "other"),
        (None, "other"),
    ],
)
def test_type_from_keywords(text: str | None, type: str, given: str | None) -> None:
    assert question_type(text, given) == type


def test_registered_types_are_consistent() -> None:
    for name, registered in QUESTION_TYPES.items():
        assert registered.name == name
        assert bool(registered.patterns) == bool(registered.wording)
        assert set(registered.experts) <= set(EXPERTS)
    assert answering_experts("presence") == ("theme", "objects")
    assert answering_experts("description") == answering_experts(UNPARSED) == answering_experts("reasoning") == ()


def test_a_new_type_is_parsed(shape: QuestionType) -> None:
    parsed = parse_question("In this picture, what form is the dark pond?")
    canonical = "what shape is the dark pond?"
    assert parsed == ParsedQuestion(parsed.text, "shape", canonical, "pond", attribute="dark")
    assert parse_question(canonical).type == question_type("the shape?") == "shape"
    assert answering_experts("shape") == ("objects",)
    assert parse_question("how many ponds are there?").type == "count"


def test_a_type_that_is_not_registered_is_not_parsed() -> None:
    assert '"shape" is not understood' in parse_question("what shape is the pond?").reason


@pytest.mark.parametrize("name", ["count", UNPARSED])
def test_a_taken_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"the name '{name}' is taken"):
        register_question_type(QuestionType(name, wording="how?"))


def test_importing_the_parser_is_cheap() -> None:
    code = "import sys, rsmoe_core.questions.parser; print({'torch', 'numpy', 'PIL'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
