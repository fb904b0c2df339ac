from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.data.base import SPLITS, Question, Sample
from rsmoe_core.data.formats import plain
from rsmoe_core.errors import DataError

texts = st.text(min_size=1).map(lambda text: " ".join(text.lower().split())).filter(lambda text: text == text.lower())
words = texts.filter(bool)
questions = st.lists(st.builds(Question, words, words, words), unique_by=lambda question: question.text).map(tuple)
contents = st.fixed_dictionaries(
    {
        "split": st.sampled_from(SPLITS),
        "captions": st.lists(words).map(tuple),
        "scene": st.none() | texts,
        "series": st.none() | texts,
        "objects": st.none() | texts,
        "questions": questions,
        "synthetic": st.booleans(),
    }
).filter(lambda content: content["captions"] or content["questions"])


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(contents, max_size=4))
def test_what_is_written_is_read_again(rows: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "images").mkdir()
        samples = tuple(Sample(root / "images" / f"é {number}.png", **row) for number, row in enumerate(rows))
        for sample in samples:
            sample.image.touch()
        plain.write(root, samples)
        found = plain.find(root)
        assert found == root / "annotations.jsonl"
        dataset = plain.read(found)
        assert dataset.samples == samples
        assert dataset.problems == ()


def test_unusable_lines_are_listed_with_their_number(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    good = '{"image": "a.png", "split": "train", "captions": ["A \u2028 road ."]}'
    path = tmp_path / plain.ANNOTATIONS
    unusable = [
        "{",
        "[1]",
        '{"image": "b.png", "split": "train"}',
        '{"image": "b.png", "captions": ["a road ."]}',
        '{"image": "b.png", "split": "train", "captions": ["a road ."], "synthetic": "yes"}',
        good,
    ]
    path.write_text("\n".join(["", good, *unusable, ""]))
    dataset = plain.read(path)
    assert [sample.captions for sample in dataset.samples] == [("a road .",)]
    assert [problem.split(": ")[0] for problem in dataset.problems] == [f"{path}:{number}" for number in range(3, 9)]
    expected = [
        "no sentence, question, scene or marks",
        "has no 'split'",
        "synthetic of b.png is neither",
        f"a.png is there already, at {path}:2",
    ]
    assert all(text in problem for text, problem in zip(expected, dataset.problems[2:], strict=True))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / plain.ANNOTATIONS).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as UTF-8 text"):
        plain.read(tmp_path / plain.ANNOTATIONS)


def test_another_folder_is_not_recognised(tmp_path: Path) -> None:
    assert plain.find(tmp_path) is None


def test_a_picture_of_which_only_the_scene_is_known_is_kept_but_has_no_captions(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "annotations.jsonl").write_text('{"image": "a.png", "split": "test", "scene": "pond"}\n')
    dataset = plain.read(tmp_path / "annotations.jsonl")
    assert [(s.scene_class, s.captions, s.questions) for s in dataset.split("test")] == [("pond", (), ())]
    with pytest.raises(DataError, match="no sentences"):
        dataset.captioned("test")
