from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rsmoe_core.data.base import Question, Sample
from rsmoe_core.data.formats.common import Collector, collect, entries, find_image, lines, opens_with
from rsmoe_core.errors import DataError

GOOD: dict[str, Any] = {"image": "a.png", "split": "train", "captions": ["A  road ."]}


def _to_sample(root: Path, row: Any) -> Sample:
    questions = tuple(Question(*question) for question in row.get("questions", ()))
    return Sample(root / row["image"], row["split"], row["captions"], row.get("scene_class"), questions=questions)


def test_unusable_rows_are_reported_with_their_position(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    other = GOOD | {"image": "b.png"}
    unusable: dict[str, Any] = {
        "has no 'split'": {"image": "b.png", "captions": ["a road ."]},
        "split 'None'; known: train": other | {"split": None},
        "no caption, question, scene class or boxes (caption 1 is empty)": other | {"captions": [" "]},
        "list of captions is expected: 'a road .'": other | {"captions": "a road ."},
        "(caption 1 is not a text: 3)": other | {"captions": [3]},
        "scene_class of b.png is not a text": other | {"scene_class": 5},
        "c.png is missing": GOOD | {"image": "c.png"},
        "a.png is a duplicate of row 0": GOOD,
        "NoneType": None,
    }
    rows = [GOOD, *unusable.values()]
    dataset = collect(tmp_path, ((f"row {number}", row) for number, row in enumerate(rows)), _to_sample)
    assert [sample.captions for sample in dataset.samples] == [("a road .",)]
    for number, (text, problem) in enumerate(zip(unusable, dataset.problems, strict=True), start=1):
        assert problem.startswith(f"row {number}: ")
        assert text in problem


def test_the_usable_annotations_of_an_image_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    questions = [
        ("Is it  a road?", "Yes", "presence"),
        ("is it a road?", "no", "presence"),
        ("where is it?", "", "location"),
        (None, "two", "count"),
        ("how many?", 2, "count"),
    ]
    row = GOOD | {"captions": ["A road .", "", "a road ."], "questions": questions}
    dataset = collect(tmp_path, [("row 7", row)], _to_sample)
    (sample,) = dataset.samples
    assert sample.captions == ("a road .", "a road .")
    assert sample.questions == (Question("is it a road?", "yes", "presence"),)
    assert dataset.problems == (
        "row 7: caption 2 is empty",
        "row 7, question 2: 'is it a road?' is a duplicate question of this image",
        "row 7, question 3: the answer is empty",
        "row 7, question 4: the question is not a text: None",
        "row 7, question 5: the answer is not a text: 2",
    )


def test_questions_in_rows_of_their_own_have_their_positions(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    located = [(f"line {number}", Question("is it a road?", "yes", "presence")) for number in (3, 8)]
    collector = Collector(tmp_path)
    for name in ("a.png", "b.png"):
        collector.add("line 3", Sample(tmp_path / name, "train", ()), questions=located)
    dataset = collector.dataset()
    assert len(dataset.samples) == 1
    assert dataset.problems == (
        "line 8: 'is it a road?' is a duplicate question of this image",
        f"line 3: {tmp_path / 'b.png'} is missing, and 2 questions with it",
    )


def test_entries_and_lines_have_their_position(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('\ufeff{"x": [1,\n\n 2]}', encoding="utf-8")
    assert entries(path, "x") == [(f"{path}: entry 0", 1), (f"{path}: entry 1", 2)]
    assert lines(path) == [(f"{path}:1", '{"x": [1,'), (f"{path}:3", " 2]}")]


@pytest.mark.parametrize("text", ["", "[]", "{}", "5", '{"x": 5}', "\xff"])
def test_another_layout_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.json: not in the expected layout"):
        entries(path, "x")


def test_a_file_is_recognised_by_its_first_bracket(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert not opens_with(path, "[")
    path.write_text('\ufeff\n  [{"a": 1}]', encoding="utf-8")
    assert opens_with(path, "[")
    assert not opens_with(path, "{")


def test_images_are_found_where_data_sets_store_them(tmp_path: Path) -> None:
    assert find_image(tmp_path, "a.png") == tmp_path / "a.png"
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    assert find_image(tmp_path, "a.png") == tmp_path / "images" / "a.png"
    (tmp_path / "a.png").touch()
    assert find_image(tmp_path, "a.png") == tmp_path / "a.png"
