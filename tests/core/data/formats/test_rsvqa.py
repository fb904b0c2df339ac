from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsmoe_core.data.base import Question
from rsmoe_core.data.formats import rsvqa
from rsmoe_core.errors import DataError

STUB = {"active": False}
QUESTIONS = (
    ("presence", "Is there a road?", "yes"),
    ("comp", "Are there more roads than buildings?", "no"),
    ("count", "How many roads are there?", "12"),
    ("area", "What is the area covered by roads?", "1205m2"),
)


def _write(root: Path, start: str, image: int, asked: Sequence[tuple[str, str, str]] = QUESTIONS) -> None:
    """One active image after stubs; its questions start at id 2 and their answers at id 1."""
    numbers = range(2, 2 + len(asked))
    images = [{"id": n} | STUB for n in range(image)]
    images.append({"id": image, "questions_ids": [*numbers], "active": True})
    questions = [{"id": 0} | STUB, {"id": 1} | STUB]
    answers = [{"id": 0} | STUB]
    for number, (type, text, answer) in zip(numbers, asked, strict=True):
        question = {"id": number, "img_id": image, "type": type, "question": text, "answers_ids": [number - 1]}
        questions.append(question | {"active": True})
        answers.append({"id": number - 1, "question_id": number, "answer": answer, "active": True})
    for part, rows in (("images", images), ("questions", questions), ("answers", answers)):
        (root / f"{start}_{part}.json").write_text(json.dumps({part: rows}))
    (root / "Data").mkdir(exist_ok=True)
    (root / "Data" / f"{image}.tif").touch()


def _change(root: Path, part: str, number: int, **changes: object) -> None:
    path = root / f"LR_split_train_{part}.json"
    rows = json.loads(path.read_text())[part]
    rows[number] |= changes
    path.write_text(json.dumps({part: rows}))


def _read(root: Path) -> rsvqa.Dataset:
    found = rsvqa.find(root)
    assert found is not None
    return rsvqa.read(found)


@pytest.mark.parametrize(("start", "count"), [("LR", "between 10 and 100"), ("USGS", "12")])
def test_questions_are_joined_with_images_and_answers(tmp_path: Path, start: str, count: str) -> None:
    for number, split in enumerate(("train", "val", "test", "test_phili")):
        _write(tmp_path, f"{start}_split_{split}", number)
    dataset = _read(tmp_path)
    assert dataset.problems == ()
    assert [(s.image.name, s.split) for s in dataset.samples] == [
        ("0.tif", "train"),
        ("1.tif", "val"),
        ("2.tif", "test"),
        ("3.tif", "test_phili"),
    ]
    assert all(
        sample.questions
        == (
            Question("is there a road?", "yes", "presence"),
            Question("are there more roads than buildings?", "no", "comparison"),
            Question("how many roads are there?", count, "count"),
            Question("what is the area covered by roads?", "more than 1000m2", "area"),
        )
        for sample in dataset.samples
    )


def test_given_ranges_do_not_change(tmp_path: Path) -> None:
    _write(tmp_path, "LR_split_train", 0, [("count", "How many?", "between 0 and 10"), ("area", "How large?", "0m2")])
    (sample,) = _read(tmp_path).samples
    assert [question.answer for question in sample.questions] == ["between 0 and 10", "0m2"]


@pytest.mark.parametrize(
    ("part", "number", "changes", "problem"),
    [
        ("questions", 2, {"img_id": 7}, "entry 5, question 2: it is about image 7"),
        ("questions", 3, {"id": 9}, "entry 5, question 3: no entry with id 3 is at"),
        ("questions", 4, {"answers_ids": [99]}, "entry 5, question 4: no entry with id 99"),
        ("answers", 1, {"active": False}, "entry 5, question 2: the answer is empty"),
        ("answers", 2, {"answer": " "}, "entry 5, question 3: the answer is empty"),
    ],
)
def test_inconsistent_entries_are_left_out(tmp_path: Path, part: str, number: int, changes: dict, problem: str) -> None:
    _write(tmp_path, "LR_split_train", 5)
    _change(tmp_path, part, number, **changes)
    dataset = _read(tmp_path)
    assert [len(sample.questions) for sample in dataset.samples] == [3]
    assert len(dataset.problems) == 1
    assert problem in dataset.problems[0]


def test_inactive_questions_are_skipped(tmp_path: Path) -> None:
    _write(tmp_path, "LR_split_train", 0)
    _change(tmp_path, "questions", 2, active=False)
    dataset = _read(tmp_path)
    assert [len(sample.questions) for sample in dataset.samples] == [3]
    assert dataset.problems == ()


def test_a_missing_file_and_two_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, "LR_split_train", 0)
    (tmp_path / "LR_split_train_answers.json").unlink()
    with pytest.raises(DataError, match=r"LR_split_train_answers\.json: not in the expected layout"):
        _read(tmp_path)
    _write(tmp_path, "USGS_split_train", 0)
    with pytest.raises(DataError, match="holds the sets LR and USGS; give each its own folder"):
        _read(tmp_path)


@given(number=st.integers(0, 5000), unit=st.sampled_from(("", "m2")))
def test_a_number_lies_in_its_range(number: int, unit: str) -> None:
    words = rsvqa.ranged(number, unit).replace("m2", "").split()
    match words:
        case [exact]:
            assert int(exact) == number == 0
        case ["between", low, "and", high]:
            assert int(low) < number <= int(high)
        case ["more", "than", low]:
            assert number > int(low) == 1000
        case _:
            pytest.fail(f"no range: {words}")
