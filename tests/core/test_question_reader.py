from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rsmoe_core.data.lexicon import NAMES, RELATIONS
from rsmoe_core.data.questions import kind_of
from rsmoe_core.errors import UsageError
from rsmoe_core.inquiry import Inquiry, Kind, plain_question
from rsmoe_core.question_reader import MAX_CHARACTERS, read_inquiry
from rsmoe_core.question_vocabulary import MEANINGS

_THINGS = sorted(set(NAMES.values()) - {"boat"})  # boats are ships where questions are asked

# what is asked for → wordings, split by lines
_WORDINGS: dict[tuple[str, ...], str] = {
    ("presence", "ship"): """
        is there a ship?
        are there any ships?
        Is there any boat in this picture?
        can you see boats?
        Do you see any vessels in the image?
        any ships?
        ships present?
        Does this picture contain a yacht?
        does the scene show ships
        are ships visible on the map?
        Could you tell me if there are ships, please?
        I wonder whether there are any ships in the port.
        is there a presence of ships?
        in the harbour, are there ships?
        does the port have ships?
        are there any ships or boats?""",
    ("presence", "airport"): """
        is this an airport?
        Is it an airport
        is this a picture of an airport?
        is the airport visible""",
    ("presence", "airplane"): "are there any airplanes in this picture?\nany planes?\nis there a jet",
    ("presence", "tree"): "does this picture contain trees?\nis there any tree?",
    ("presence", "water"): "is there water\nis water there?",
    ("presence", "residential area"): "is it residential?\nis this a residential area?",
    ("presence", "car", "", "", "red"): "is there a red car?\nare there any red cars in the parking lot?",
    ("count", "ship"): """
        how many ships are there?
        How many vesels in the harbour
        how many ships
        number of ships?
        what is the number of boats
        what's the total number of boats in this scene?
        count the ships
        Can you please count the number of ships?
        ship count
        count of ships
        how mny ships
        How many vessels are docked in the port?
        how many ships are sailing on the river
        how many ships does the picture show?
        Tell me how many ships there are.
        how many ships can be seen here
        in the harbour, how many ships do you see?
        How many ship's are there?
        how many ships and boats are there altogether?""",
    ("count", "airplane"): """
        number of planes?
        what is the number of aircraft
        how many aircrafts are parked on the apron?
        how many airplans
        how many aiplanes are there on the runway""",
    ("count", "car", "", "", "red"): "how many RED cars\nnumber of red automobiles in the picture?",
    ("count", "car", "", "", "gray"): "how many grey cars\nhow many gray cars are there",
    ("count", "building", "", "", "square"): "how many square buildings?",
    ("count", "tennis court"): "how many tenis courts\nHow many tennis-courts in the picture?",
    ("count", "swimming pool"): "how many swiming pools are there?\nhow many pools",
    ("count", "crossroads"): "how many intersections\nhow many cross points are there?",
    ("comparison", "ship", "airplane", "more"): """
        are there more ships than airplanes?
        Are there more boats than planes in this picture?
        are there fewer airplanes than ships?
        are there less planes than vessels
        does the picture show more ships than planes?
        is the number of ships greater than the number of planes?
        is there a larger number of ships than airplanes?
        do ships outnumber planes?
        could you tell me whether there are more ships than planes""",
    ("comparison", "building", "tree", "more"): "are there more buildings than trees?\nmore buildings than trees?",
    ("comparison", "car", "tree", "equal"): """
        are there as many cars as trees?
        is the number of cars equal to the number of trees?
        Is the number of cars the same as the number of trees?
        are there the same number of cars and trees
        is there an equal number of cars and trees?
        is the number of cars and trees the same?""",
    ("theme",): """
        what is the theme of this picture?
        What is the main theme?
        what kind of place is this?
        what type of scene
        what type of area is shown in this image?
        what sort of place do you see
        land use?
        what is the land use of this area
        what is the land cover
        what is this place?
        what is the scene class?
        classify the scene""",
    ("rural_urban",): """
        rural or urban?
        is this a rural or an urban area
        is it urban or rural
        Is this area urban?
        is it rural?
        is this a rural area or an urban area?
        does this picture show a city or the countryside?""",
    ("location", "airplane"): """
        where are the airplanes?
        Where is the plane
        where's the aircraft located?
        what is the location of the airplanes in this picture?
        position of the plane
        what is the position of the plane
        in which part of the image is the airplane?
        which part of the picture are the planes in?
        on which side are the planes
        locate the airplane
        can you show me where the airplanes are?""",
    ("location", "car", "", "", "yellow"): "where is the yellow car?\nwhat is the location of the yellow car",
    ("location", "airplane", "", "", "large"): "where is the largest plane\nposition of the big airplane",
    ("relation", "playground", "", "near"): """
        what is near the playground?
        what's close to the playground
        what can be seen near the playground?
        what things are near to the playground
        describe what is near the playground""",
    ("relation", "stadium", "", "around"): """
        what surrounds the stadium?
        what is around the stadium
        what is the stadium surrounded by?""",
    ("relation", "river", "", "next to"): "what lies next to the river\nwhat is adjacent to the river?",
    (
        "relation",
        "road",
        "",
        "on two sides of",
    ): "what is on both sides of the road?\nwhat's on either side of the road",
    (
        "relation",
        "park",
        "",
        "in the middle of",
    ): "what is in the middle of the park?\nwhat is in the centre of the park",
    ("relation", "port", "", "in"): "what is in the harbor?\nwhat can you see in the port",
    ("color", "building"): """
        what color are the buildings?
        what colour is the building
        colour of the buildings
        which color do the buildings have
        what is the color of the building?""",
    ("description",): """
        describe the picture
        Please describe this image.
        describe what you see
        what is in this picture?
        what can be seen here?
        what does this picture show?
        caption
        write a caption
        give me a description of the scene
        tell me about this image
        what's this?""",
}
_CASES = [(text.strip(), asked) for asked, lines in _WORDINGS.items() for text in lines.strip().splitlines()]


@pytest.mark.parametrize(("text", "asked"), _CASES)
def test_what_a_wording_asks_for(text: str, asked: tuple[str, ...]) -> None:
    kind, thing, other, relation, attribute = (part or None for part in (*asked, *[""] * (5 - len(asked))))
    inquiry = read_inquiry(text)
    found = (inquiry.kind, inquiry.thing, inquiry.other, inquiry.relation, inquiry.attribute)
    assert found == (kind, thing, other, relation, attribute)
    assert inquiry.text == text
    assert inquiry.reason == ""


@pytest.mark.parametrize("lines", _WORDINGS.values(), ids=map(" ".join, _WORDINGS))
def test_wordings_of_one_question_differ_in_their_text_only(lines: str) -> None:
    assert len({replace(read_inquiry(text), text="") for text in lines.strip().splitlines()}) == 1


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
        ("how many small white cars", "ask something like: how many white cars are there?"),
        ("how many zebras are there?", 'was not taught to recognise "zebras"; ask about one of: ship, airplane,'),
        ("what color is the roof?", 'was not taught to recognise "roof"'),
        ("how many parkings lot", '"lot" is not understood'),
        ("are there any churchyards?", "ask about one of: church, "),
        ("are there any shops?", '"shops"'),
        ("how many sheep do you see", '"sheep"'),
        ("where are the chips", '"chips"'),
        ("is there a bride?", '"bride"'),
        ("有多少艘船？", "only English is understood; ask something like: how many ships are there?"),
        ("Где самолёты?", "only English is understood"),
        ("how many ships and airplanes are there?", "only one thing can be asked at a time"),
        ("how many ships? where are the planes?", "only one thing can be asked at a time"),
        ("which are there more of, ships or planes?", "only one thing can be asked at a time"),
        ("how many ships are near the bridge?", "in whole pictures only; ask, for example: what is near the bridge?"),
        ("are there more ships than boats?", "compares a thing with itself"),
        ("are there more red cars than trees?", "ask, for example: are there more cars than trees?"),
        ("what is the location of the  in this picture?", "the question is not understood"),
        ("where am I?", "the question is not understood"),
        ("what kind of ships are there?", "the question is not understood"),
        ("???", "the question is not understood; ask something like: how many ships are there?"),
    ],
)
def test_why_a_question_cannot_be_answered(text: str, reason: str) -> None:
    inquiry = read_inquiry(text)
    assert reason in inquiry.reason
    assert replace(inquiry, text="", reason="") == Inquiry("", "unknown", "")


@pytest.mark.parametrize("text", ["", "   ", "\n\t\0", "\u200b"])
def test_an_empty_question_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the question is empty; ask something like: How many ships are there"):
        read_inquiry(text)


def test_a_long_question_is_refused() -> None:
    assert read_inquiry("a" * MAX_CHARACTERS).kind == "unknown"
    with pytest.raises(UsageError, match="the question has 10,000 characters; ask one thing in at most 500"):
        read_inquiry("a" * 10_000)


def test_a_question_is_one_line() -> None:
    inquiry = read_inquiry("  How many\r\n\tships\0are   there?\u2028")
    assert inquiry.text == "How many ships are there?"
    assert inquiry.kind == "count"


def test_accents_and_curly_apostrophes() -> None:
    assert read_inquiry("What’s the theme of the scène?").kind == "theme"


@pytest.mark.parametrize("thing", _THINGS)
def test_the_plain_wording_reads_as_itself(thing: str) -> None:
    other = "car" if thing == "tree" else "tree"
    relations = sorted(set(RELATIONS.values()))
    parts: list[tuple[Kind, str | None, str | None, str | None, str | None]] = [
        ("theme", None, None, None, None),
        ("rural_urban", None, None, None, None),
        ("description", None, None, None, None),
        *(
            (kind, thing, None, None, word)
            for kind in ("presence", "count", "location", "color")
            for word in (None, "red")
        ),
        *(("comparison", thing, other, relation, None) for relation in ("more", "equal")),
        *(("relation", thing, None, relation, None) for relation in relations),
    ]
    for part in parts:
        plain = plain_question(*part)
        kind, *rest = part
        assert read_inquiry(plain) == Inquiry(plain, kind, plain, *rest)


_word = st.one_of(st.sampled_from([*MEANINGS, "zebra", "polar", "?", "ship's", "12"]), st.text(max_size=8))
_text = st.one_of(st.text(max_size=MAX_CHARACTERS), st.lists(_word, max_size=12).map(" ".join))


@settings(max_examples=200, deadline=None)
@given(text=_text)
@example("square")
@example("a red")
@example("what is surrounded by")
@example("İ <0> {in} \ud800")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        inquiry = read_inquiry(text)
    except UsageError:
        return
    assert (inquiry.plain == "") == (inquiry.reason != "") == (inquiry.kind == "unknown")
    assert len(inquiry.text.splitlines()) == 1
    assert len(inquiry.reason.splitlines()) <= 1
    if inquiry.plain:
        assert read_inquiry(inquiry.plain) == replace(inquiry, text=inquiry.plain)


def test_questions_of_people(shared: Path) -> None:
    annotations = shared / "data" / "ucm_gray" / "annotations.json"
    if not annotations.is_file():
        pytest.skip("the gray UC Merced pictures are absent")
    pictures = json.loads(annotations.read_text(encoding="utf-8"))
    questions = {question for picture in pictures for question, _ in picture["qa"]}
    for question in questions - {"What is the location of the  in this picture?"}:
        assert read_inquiry(question).kind == kind_of(question), question
