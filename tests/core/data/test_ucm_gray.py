from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from rsmoe_core.data import Question, hashed_split, ucm_gray


def test_questions_have_kinds_and_pictures_scenes(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "images" / name).touch()
    qa = [["How many trees in the picture?", "Two"], ["What is the theme of this picture?", ""]]
    path = tmp_path / "annotations.json"
    entry = {"image": "images/1.jpg", "scene": "mobilehomepark", "qa": qa}
    path.write_text(
        json.dumps(
            [
                entry,
                {"image": "images/2.jpg", "scene": "river", "qa": []},
                entry | {"qa": ["?"]},
                entry | {"scene": "moon"},
            ]
        )
    )
    dataset = ucm_gray.read(path)
    asked, unasked = dataset.samples
    assert asked.questions == (Question("how many trees in the picture?", "two", "count"),)
    assert (asked.scene, asked.split) == ("mobile home park", hashed_split("1.jpg"))
    assert (unasked.scene, unasked.questions) == ("river", ())
    assert all("river" in caption for caption in unasked.captions)
    assert [problem.split(": ")[1] for problem in dataset.problems] == ["entry 0, question 2", "entry 2", "entry 3"]


def test_places_are_called_as_the_caption_sets_call_them(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").touch()
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps([{"image": "1.jpg", "scene": "harbor", "qa": []}]))
    assert ucm_gray.read(path).samples[0].scene == "port"


def test_a_class_without_a_rule_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps([{"image": "1.jpg", "scene": "moon", "qa": []}]))
    assert "no rule makes sentences for the class 'moon'" in ucm_gray.read(path).problems[0]


def test_the_real_set_is_read_whole(shared: Path) -> None:
    dataset = ucm_gray.read(shared / "data" / "ucm_gray" / "annotations.json")
    assert len(dataset.samples) + len(dataset.problems) == 1890
    assert len(dataset.samples) == 1890
    kinds = Counter(question.kind for sample in dataset.samples for question in sample.questions)
    assert kinds == {"presence": 1016, "theme": 508, "location": 508, "count": 354}
