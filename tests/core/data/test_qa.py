from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsmoe_core.data.base import Boxes, Question, Sample
from rsmoe_core.data.qa import (
    TRAINING_QUESTIONS,
    ImageFacts,
    absent_objects,
    annotated_questions,
    make_question,
    questions_of,
    training_questions,
)
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.questions.types import QUESTION_TYPES, QuestionType, register_question_type


def sample(name: str, *captions: str, scene_class: str | None = None, **more: object) -> Sample:
    return Sample(Path(f"{name}.png"), "train", captions, scene_class, **more)


def answers(questions: tuple[Question, ...]) -> dict[str, str]:
    return {question.text: question.answer for question in questions}


PORT = sample(
    "port", "two white boats are in a port near a building .", "two boats are in the port .", scene_class="port"
)
FOREST = sample("forest", "many green trees are in a piece of forest .", scene_class="forest")
AIRPORT = sample("airport", "some airplanes are parked in an airport .", scene_class="airport")


def test_objects_in_captions_are_present():
    found = answers(questions_of([PORT])[0])
    assert found["is there any ship?"] == "yes"  # boats are ships in questions
    assert found["what kind of place is this?"] == "port"
    assert found["how many ships are there?"] == "2"
    assert found["what color is the ship?"] == "white"


def test_an_object_is_absent_only_where_it_cannot_be_unmentioned():
    samples = [
        PORT,
        FOREST,
        AIRPORT,
        sample("river", "a river is near a road .", scene_class="river"),
        sample("other", "a road"),
    ]

    def without(name: str) -> list[int]:
        return [number for number, image in enumerate(samples) if absent_objects(image, [name])]

    assert without("ship") == [1, 2]
    assert without("airplane") == [0, 1, 3]
    assert without("building") == [1]


def test_each_object_gets_as_many_no_as_yes():
    samples = [
        sample(f"{n}", *own.captions, scene_class=own.scene_class) for n in range(30) for own in (PORT, FOREST, AIRPORT)
    ]
    counts: Counter[tuple[str, str]] = Counter()
    for n, own in enumerate(questions_of(samples)):
        counts.update((q.text, q.answer) for q in own if q.type == "presence")
        assert len({q.text for q in own}) == len(own), n
    for name in ("ship", "airplane", "forest", "airport"):
        text = f"is there any {name}?"
        assert counts[text, "yes"] == counts[text, "no"] == 30


def test_boxes_are_counted_and_located(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((90, 90, 3), np.uint8)).save(path)
    boxed = Sample(
        path, "train", (), boxes=Boxes("ship", ((10.0, 10.0, 4.0, 4.0), (12.0, 20.0, 4.0, 4.0), (80.0, 80.0, 0, 0)))
    )
    found = answers(questions_of([boxed])[0])
    assert found["how many ships are there?"] == "3"
    assert found["where is the ship?"] == "upper left, lower right"
    none = answers(questions_of([Sample(path, "train", (), boxes=Boxes("ship", ()))])[0])
    assert none["how many ships are there?"] == "0"
    assert "where is the ship?" not in none


def test_questions_of_people_are_put_in_canonical_wording():
    asked = sample(
        "car",
        questions=(Question("how many car in the picture?", "six", "count"), Question("who is it?", "me", "other")),
    )
    assert answers(questions_of([asked])[0]) == {"how many cars are there?": "6"}
    assert annotated_questions([asked]) == ([(Question("how many cars are there?", "6", "count"),)], ["who is it?"])


def test_every_question_is_parsed_as_itself():
    for own in questions_of([PORT, FOREST, AIRPORT, sample("s", "a road goes over the river .", scene_class="river")]):
        for question in own:
            parsed = parse_question(question.text)
            assert (parsed.type, parsed.canonical) == (question.type, question.text)


def test_the_same_seed_gives_the_same_questions():
    samples = [PORT, FOREST, AIRPORT]
    assert questions_of(samples) == questions_of(samples)


@pytest.mark.parametrize("scene_class", ["forest", "desert", "farmland"])
def test_rural_scene_classes(scene_class):
    assert (
        answers(questions_of([sample("a", scene_class=scene_class)])[0])["is this a rural or an urban area?"] == "rural"
    )


def test_a_new_question_type_adds_one_function(monkeypatch):
    monkeypatch.setattr("rsmoe_core.data.qa.TRAINING_QUESTIONS", list(TRAINING_QUESTIONS))
    before = dict(QUESTION_TYPES)
    register_question_type(QuestionType("shape", "what shape is the {subject}?", experts=("objects",)))

    @training_questions
    def _shape(image: ImageFacts):
        if "pond" in image.present:
            yield make_question("shape", "round", "pond")

    found = answers(questions_of([sample("pond", "a round pond .")])[0])
    QUESTION_TYPES.clear()
    QUESTION_TYPES.update(before)
    assert found["what shape is the pond?"] == "round"
