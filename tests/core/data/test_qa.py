from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsmoe_core.data.base import Boxes, Question, Sample
from rsmoe_core.data.qa import lacking, questions_of, where
from rsmoe_core.questions.parser import parse_question


def sample(name: str, *captions: str, scene: str | None = None, **more: object) -> Sample:
    return Sample(Path(f"{name}.png"), "train", captions, scene, **more)


def answers(own: tuple[Question, ...]) -> dict[str, str]:
    return {question.text: question.answer for question in own}


PORT = sample("port", "two white boats are in a port near a building .", "two boats are in the port .", scene="port")
FOREST = sample("forest", "many green trees are in a piece of forest .", scene="forest")
AIRPORT = sample("airport", "some airplanes are parked in an airport .", scene="airport")


def test_what_sentences_name_is_there():
    told = answers(questions_of([PORT])[0])
    assert told["is there any ship?"] == "yes"  # boats are ships in questions
    assert told["what kind of place is this?"] == "port"
    assert told["how many ships are there?"] == "2"
    assert told["what color is the ship?"] == "white"


def test_absence_needs_a_place_where_the_thing_cannot_hide():
    samples = [
        PORT,
        FOREST,
        AIRPORT,
        sample("river", "a river is near a road .", scene="river"),
        sample("other", "a road"),
    ]

    def without(thing: str) -> list[int]:
        return [number for number, own in enumerate(samples) if lacking(own, [thing])]

    assert without("ship") == [1, 2]
    assert without("airplane") == [0, 1, 3]
    assert without("building") == [1]


def test_each_thing_gets_as_many_no_as_yes():
    samples = [sample(f"{n}", *own.captions, scene=own.scene) for n in range(30) for own in (PORT, FOREST, AIRPORT)]
    tally: Counter[tuple[str, str]] = Counter()
    for n, own in enumerate(questions_of(list(samples))):
        tally.update((q.text, q.answer) for q in own if q.type == "presence")
        assert len({q.text for q in own}) == len(own), n
    for thing in ("ship", "airplane", "forest", "airport"):
        text = f"is there any {thing}?"
        assert tally[text, "yes"] == tally[text, "no"] == 30


def test_marks_are_counted_and_placed(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((90, 90, 3), np.uint8)).save(path)
    boxed = Sample(
        path, "train", (), boxes=Boxes("ship", ((10.0, 10.0, 4.0, 4.0), (12.0, 20.0, 4.0, 4.0), (80.0, 80.0, 0, 0)))
    )
    told = answers(questions_of([boxed])[0])
    assert told["how many ships are there?"] == "3"
    assert told["where is the ship?"] == "upper left, lower right"
    none = answers(questions_of([Sample(path, "train", (), boxes=Boxes("ship", ()))])[0])
    assert none["how many ships are there?"] == "0"
    assert "where is the ship?" not in none


def test_a_place_in_a_picture_is_a_third_of_it():
    boxes = tuple((x, y, 0.0, 0.0) for x in (10.0, 50.0, 80.0) for y in (10.0, 50.0, 80.0))
    assert where(Boxes("ship", boxes[4:5]), 90, 90) == "center"
    assert where(Boxes("ship", boxes[2:3]), 90, 90) == "lower left"
    assert where(Boxes("ship", ((90.0, 0.0, 0.0, 0.0),)), 90, 90) == "upper right"


def test_people_are_asked_in_the_one_wording():
    asked = sample(
        "car",
        questions=(Question("how many car in the picture?", "six", "count"), Question("who is it?", "me", "other")),
    )
    assert answers(questions_of([asked])[0]) == {"how many cars are there?": "6"}


def test_every_question_reads_as_what_it_is():
    for own in questions_of([PORT, FOREST, AIRPORT, sample("s", "a road goes over the river .", scene="river")]):
        for question in own:
            parsed = parse_question(question.text)
            assert (parsed.type, parsed.canonical) == (question.type, question.text)


def test_the_same_seed_asks_the_same():
    samples = [PORT, FOREST, AIRPORT]
    assert questions_of(samples) == questions_of(samples)


@pytest.mark.parametrize("scene", ["forest", "desert", "farmland"])
def test_the_country_is_rural(scene):
    assert answers(questions_of([sample("a", scene=scene)])[0])["is this a rural or an urban area?"] == "rural"
