from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rsmoe_core.errors import UsageError
from rsmoe_core.questions.parser import MAX_CHARACTERS, parse_question
from rsmoe_core.questions.types import OPEN, UNPARSED, ParsedQuestion, canonical_question, question_type
from rsmoe_core.questions.vocabulary import vocabulary
from rsmoe_core.words.lexicon import NAMES, RELATIONS
from tests.core.questions.question_wordings import WORDINGS

_OBJECTS = sorted(set(NAMES.values()) - {"boat"})  # in questions, boats are ships

_CASES = [(text.strip(), asked) for asked, lines in WORDINGS.items() for text in lines.strip().splitlines()]


@pytest.mark.parametrize(("text", "asked"), _CASES)
def test_what_a_wording_asks_for(text: str, asked: tuple[str, ...]) -> None:
    type, subject, compared_with, relation, attribute = (part or None for part in (*asked, *[""] * (5 - len(asked))))
    parsed = parse_question(text)
    found = (parsed.type, parsed.subject, parsed.compared_with, parsed.relation, parsed.attribute)
    assert found == (type, subject, compared_with, relation, attribute)
    assert parsed.text == text
    assert parsed.reason == ""


@pytest.mark.parametrize("lines", WORDINGS.values(), ids=map(" ".join, WORDINGS))
def test_wordings_of_one_question_differ_in_their_text_only(lines: str) -> None:
    assert len({replace(parse_question(text), text="") for text in lines.strip().splitlines()}) == 1


def test_enough_wordings() -> None:
    assert len(_CASES) >= 120


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("who owns the port?", "does not show who, when or why; ask, for example: how many ports are there?"),
        ("when was this taken?", "does not show who, when or why"),
        ("why are there ships?", "does not show who, when or why"),
        ("how old is the bridge?", "not measured; ask, for example: how many bridges are there?"),
        ("how much does a ship cost", "not measured"),
        ("how much water is there?", "ask, for example: is there any water?"),
        ("what is the water temperature?", '"temperature" is not understood'),
        ("what is the ship's name?", '"name" is not understood; ask, for example: how many ships are there?'),
        ("how many ships are there in 1990?", '"1990" is not understood'),
        ("how many boats are on the left?", '"left" is not understood'),
        ("how many military planes are there?", '"military" is not understood'),
        ("are there two ships?", '"two" is not understood; ask, for example: how many ships are there?'),
        ("how many small white cars", '"small" changes the question, and is not understood here'),
        ("how many zebras are there?", 'was not trained to recognise "zebras"; ask about one of: ship, airplane,'),
        ("what color is the roof?", 'was not trained to recognise "roof"'),
        ("how many parkings lot", '"lot" is not understood'),
        ("are there any churchyards?", "ask about one of: church, "),
        ("are there any shops?", '"shops"'),
        ("how many sheep do you see", '"sheep"'),
        ("where are the chips", '"chips"'),
        ("is there a bride?", '"bride"'),
        ("有多少艘船？", "only English is understood; ask something like: how many ships are there?"),
        ("Где самолёты?", "only English is understood"),
        ("how many ships and airplanes are there?", "only one object can be asked about at a time"),
        ("how many ships? where are the planes?", "only one object can be asked about at a time"),
        ("which are there more of, ships or planes?", "only one object can be asked about at a time"),
        ("how many ships are near the bridge?", "in whole images only; ask, for example: what is near the bridge?"),
        ("are there more ships than boats?", "compares an object with itself"),
        ("are there more red cars than trees?", "ask, for example: are there more cars than trees?"),
        ("what is the location of the  in this picture?", "the question is not understood"),
        ("where am I?", "the question is not understood"),
        ("what kind of ships are there?", '"what kind" changes the question'),
        # kinds of objects
        (
            "are there any trucks?",
            'knows cars in general, but not "trucks"; ask, for example: how many cars are there?',
        ),
        ("how many oil tankers are there", 'knows ships in general, but not "oil tankers"'),
        ("where is the pier?", 'knows ports in general, but not "pier"'),
        ("are there more buses than trees?", 'knows cars in general, but not "buses"'),
        ("how many rusty fishing boats are there?", 'was not trained to recognise "rusty fishing boats"'),
        # sizes and likeness are no numbers
        (
            "is there a lake larger than the pond?",
            "sizes are not compared; ask, for example: how many lakes are there?",
        ),
        ("are there larger ships than airplanes?", "sizes are not compared"),
        ("is the lake the same as the pond?", "only one object can be asked about at a time"),
        ("are the ships larger than 10?", "the question is not understood"),
        ("what portion of the image is water?", "not measured; ask, for example: is there any water?"),
        ("what is the area of the lake?", "not measured; ask, for example: how many lakes are there?"),
        ("where does the road go?", '"go" changes the question'),
        ("what satellite is it?", '"satellite" is not understood'),
        ("are most roofs red?", '"most roofs" is not understood'),
        ("are the ships beyond the trees floating alongside?", '"beyond" and "floating" are not understood'),
        # a word that changes the question is named
        ("are all ships docked?", 'what objects do, such as "docked", cannot be answered'),
        ("are the ships sailing?", '"sailing"'),
        ("how many cars are parked?", '"parked"'),
        ("is it all water?", '"all" changes the question, and is not understood here; ask, for example: is there any'),
        ("is the whole picture water?", '"whole" changes the question'),
        ("is it just water?", '"just" is not understood'),
        ("is the total area water?", '"total" changes the question'),
        ("is half of the picture water?", '"half" changes the question'),
        ("are there many ships?", '"many" changes the question'),
        ("are the ships white?", '"white" changes the question'),
        ("is there a ship on land?", '"on land" changes the question'),
        ("does a river flow here?", '"flow" changes the question'),
        ("will there be ships?", '"will" is not understood'),
        ("is more than 50% water?", '"50" is not understood'),
        ("is there more than one water?", "water is not counted; ask, for example: is there any water?"),
        ("are there over 5 ships over the bridge?", '"over the bridge" cannot be answered'),
        ("which city is this?", "does not show names; ask, for example: is this a rural or an urban area?"),
        ("what town is it?", "does not show names"),
        ("are all the ships in the harbour?", '"in the harbour" cannot be answered: objects are found and counted in'),
        ("in the harbour, how many ships are there?", '"in the harbour" cannot be answered'),
        ("does the port have ships?", '"in the port" cannot be answered'),
        ("are there ships at sea?", '"at sea" cannot be answered'),
        ("how many planes are on the runway?", '"on the runway" cannot be answered'),
        ("are there ships near the water?", '"near the water" cannot be answered'),
        ("Wie viele Schiffe gibt es?", "only English is understood; ask something like: how many ships are there?"),
        ("Combien de navires y a-t-il ?", "only English is understood"),
        ("¿Cuántos barcos hay?", "only English is understood"),
        ("Hay agua?", '"hay agua" is not understood; ask in English, something like: how many ships are there?'),
        ("Finnes det vann?", '"finnes det vann" is not understood; ask in English'),
        ("Dov'è il ponte?", "only English is understood"),
        ("???", "the question is not understood; ask something like: how many ships are there?"),
    ],
)
def test_why_a_question_cannot_be_answered(text: str, reason: str) -> None:
    parsed = parse_question(text)
    assert reason in parsed.reason
    assert replace(parsed, text="", reason="", beyond_images=False) == ParsedQuestion("", UNPARSED, "")


@pytest.mark.parametrize(
    "text", ["who owns the port?", "when was it taken?", "how old is the bridge?", "which city is this?"]
)
def test_what_no_image_shows_is_not_put_to_any_model(text: str) -> None:
    parsed = parse_question(text)
    assert parsed.beyond_images
    assert parsed.opened() == parsed


@pytest.mark.parametrize(
    "text", ["Is there flood damage?", "Combien de navires y a-t-il ?", "有多少艘船？", "are all ships docked?"]
)
def test_a_question_that_is_not_parsed_is_put_in_its_own_words(text: str) -> None:
    opened = parse_question(text).opened()
    assert (opened.type, opened.canonical) == (OPEN, text)


def test_a_question_that_is_parsed_stays_as_it_is() -> None:
    assert parse_question("any ships?").opened() == parse_question("any ships?")


@pytest.mark.parametrize("text", ["", "   ", "\n\t\0", "\u200b"])
def test_an_empty_question_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the question is empty; ask something like: How many ships are there"):
        parse_question(text)


def test_a_long_question_is_refused() -> None:
    assert parse_question("a" * MAX_CHARACTERS).type == UNPARSED
    with pytest.raises(UsageError, match="the question has 10,000 characters; ask one thing in at most 500"):
        parse_question("a" * 10_000)


def test_a_question_is_one_line() -> None:
    parsed = parse_question("  How many\r\n\tships\0are   there?\u2028")
    assert parsed.text == "How many ships are there?"
    assert parsed.type == "count"


def test_accents_and_curly_apostrophes() -> None:
    assert parse_question("What’s the theme of the scène?").type == "theme"


@pytest.mark.parametrize("subject", _OBJECTS)
def test_the_canonical_wording_is_read_as_itself(subject: str) -> None:
    compared_with = "car" if subject == "tree" else "tree"
    parts: list[tuple[str, str | None, str | None, str | None, str | None]] = [
        ("theme", None, None, None, None),
        ("rural_urban", None, None, None, None),
        ("description", None, None, None, None),
        *(
            (type, subject, None, None, attribute)
            for type in ("presence", "count", "location", "color")
            for attribute in (None, "red")
        ),
        *(("comparison", subject, compared_with, relation, None) for relation in ("more", "equal")),
        *(("relation", subject, None, relation, None) for relation in sorted(set(RELATIONS.values()))),
    ]
    for part in parts:
        canonical = canonical_question(*part)
        type, *rest = part
        assert parse_question(canonical) == ParsedQuestion(canonical, type, canonical, *rest)


_word = st.one_of(st.sampled_from([*vocabulary().tokens, "zebra", "polar", "?", "ship's", "12"]), st.text(max_size=8))
_text = st.one_of(st.text(max_size=MAX_CHARACTERS), st.lists(_word, max_size=12).map(" ".join))


@settings(max_examples=200, deadline=None)
@given(text=_text)
@example("square")
@example("a red")
@example("what is surrounded by")
@example("İ <0> {in} \ud800")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parsed = parse_question(text)
    except UsageError:
        return
    assert (parsed.canonical == "") == (parsed.reason != "") == (parsed.type == UNPARSED)
    assert len(parsed.text.splitlines()) == 1
    assert len(parsed.reason.splitlines()) <= 1
    if parsed.canonical:
        assert parse_question(parsed.canonical) == replace(parsed, text=parsed.canonical)


def test_questions_of_people(shared: Path) -> None:
    annotations = shared / "data" / "ucm" / "annotations.json"
    if not annotations.is_file():
        pytest.skip("the UC Merced data set is absent")
    entries = json.loads(annotations.read_text(encoding="utf-8"))
    questions = {question for entry in entries for question, _ in entry["qa"]}
    questions = {question for question in questions if "truck" not in question and "the  in" not in question}
    for question in questions:
        assert parse_question(question).type == question_type(question), question
