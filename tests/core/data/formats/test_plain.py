from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.data.base import SPLITS, Boxes, Question, Sample
from rsmoe_core.data.formats import plain
from rsmoe_core.errors import DataError

texts = st.text(min_size=1).map(lambda text: " ".join(text.lower().split())).filter(lambda text: text == text.lower())
words = texts.filter(bool)
questions = st.lists(st.builds(Question, words, words, words), unique_by=lambda question: question.text).map(tuple)
_numbers = st.floats(-1e6, 1e6)
contents = st.fixed_dictionaries(
    {
        "split": st.sampled_from(SPLITS),
        "captions": st.lists(words).map(tuple),
        "scene_class": st.none() | texts,
        "group": st.none() | texts,
        "objects": st.none() | texts,
        "boxes": st.none() | st.builds(Boxes, words, st.lists(st.tuples(*[_numbers] * 4)).map(tuple)),
        "metres_per_pixel": st.none() | st.floats(0.01, 100),
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
        "no caption, question, scene class or boxes",
        "has no 'split'",
        "synthetic of b.png is neither",
        f"a.png is a duplicate of {path}:2",
    ]
    assert all(text in problem for text, problem in zip(expected, dataset.problems[2:], strict=True))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / plain.ANNOTATIONS).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as UTF-8 text"):
        plain.read(tmp_path / plain.ANNOTATIONS)


def test_another_folder_is_not_recognised(tmp_path: Path) -> None:
    assert plain.find(tmp_path) is None


def test_an_image_with_only_a_scene_class_is_read_but_has_no_captions(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "annotations.jsonl").write_text('{"image": "a.png", "split": "test", "scene_class": "pond"}\n')
    dataset = plain.read(tmp_path / "annotations.jsonl")
    assert [(s.scene_class, s.captions, s.questions) for s in dataset.split("test")] == [("pond", (), ())]
    with pytest.raises(DataError, match="no captions"):
        dataset.captioned("test")


def test_the_keys_are_the_fields_of_a_sample(tmp_path: Path) -> None:
    sample = Sample(
        tmp_path / "a.png",
        "train",
        ("a pond .",),
        scene_class="pond",
        group="a",
        objects="a pond",
        questions=(Question("is there any pond?", "yes", "presence"),),
        boxes=Boxes("ship", ((1.0, 2.0, 3.0, 4.0),)),
        metres_per_pixel=10.0,
        synthetic=True,
    )
    content = {
        "image": "a.png",
        "split": "train",
        "captions": ["a pond ."],
        "scene_class": "pond",
        "group": "a",
        "objects": "a pond",
        "questions": [{"text": "is there any pond?", "answer": "yes", "type": "presence"}],
        "boxes": {"label": "ship", "cxcywh": [[1.0, 2.0, 3.0, 4.0]]},
        "metres_per_pixel": 10.0,
        "synthetic": True,
    }
    assert json.loads(json.dumps(plain.row(tmp_path, sample))) == content
