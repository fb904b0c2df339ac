from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsmoe_core.data.base import Dataset, Question, Sample
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.errors import DataError
from rsmoe_core.evaluation.predictions import (
    ask_samples,
    caption_lines,
    describe_samples,
    descriptions_of,
    read_answers,
    read_captions,
    samples_with,
)
from rsmoe_core.inference.ablations import FULL_MODEL, Ablation
from rsmoe_core.loading import load
from rsmoe_core.types import Answer, Description, Generation, Request

TREES = "are there trees?"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    names = ("a.png", "one/b.png", "two/b.png")
    samples = [Sample(tmp_path / n, "test", (), questions=(Question(TREES, "yes", "presence"),)) for n in names]
    return Dataset(tmp_path, (*samples, Sample(tmp_path / "c.png", "train", ("a pond .",))), ())


def write(folder: Path, *rows: Any) -> Path:
    """A file with the rows as JSON, or as they are."""
    path = folder / "predictions.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def answer(image: str, **others: Any) -> dict[str, Any]:
    return {"image": image, "question": "Are there  trees?", "answer": "yes", **others}


def test_answers_are_found_by_picture_and_question(dataset: Dataset) -> None:
    path = write(
        dataset.root, answer("a.png", confidence=0.5, model="other"), "", answer("two/b.png", answer=3, confidence=None)
    )
    found = read_answers(path, dataset, "test")
    assert found.problems == ()
    assert found.values == {
        (dataset.root / "a.png", TREES): Answer("yes", 0.5),
        (dataset.root / "two/b.png", TREES): Answer("3", None),
    }


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("nonsense", "Expecting value"),
        ({"image": "a.png", "answer": "yes"}, "has no 'question'"),
        (answer("a.png", answer=True), "answer is not a text: True"),
        (answer("a.png", confidence=1.5), "confidence is not a number from 0 to 1: 1.5"),
        (answer("a.png", confidence="high"), "confidence is not a number from 0 to 1: 'high'"),
        (answer("a.png", question="Why?"), "'why?' is not a question about a.png"),
        (answer("b.png"), "2 images are called 'b.png'; give the path in the folder"),
        (answer("c.png"), "no image 'c.png' in split 'test'"),
        (answer("one/b.png"), "repeats an earlier line; the first one counts"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(dataset: Dataset, row: Any, problem: str) -> None:
    path = write(dataset.root, answer("one/b.png", answer="no"), row)
    found = read_answers(path, dataset, "test")
    assert found.values == {(dataset.root / "one/b.png", TREES): Answer("no", None)}
    (reported,) = found.problems
    assert reported.startswith(f"{path}:2: {problem}")


def test_captions_may_have_themes_and_confidences(dataset: Dataset) -> None:
    path = write(
        dataset.root,
        {"image": "a.png", "caption": "A pond.", "theme": "Park", "confidence": 0.25},
        {"image": "one/b.png", "caption": "", "confidence": math.nan},
        {"image": "two/b.png", "caption": None},
    )
    found = read_captions(path, dataset, "test")
    first, second = found.values.values()
    assert first == Description("A pond.", {"theme": Generation("park")}, 0.25)
    assert second == Description("", {}, None)
    assert found.problems == (f"{path}:3: caption is not a text: None",)
    samples = dataset.split("test")
    assert descriptions_of(samples[:2], found, path) == [first, second]
    with pytest.raises(DataError, match=r"no caption for 1 of 3 images, such as b\.png; write a line for each"):
        descriptions_of(samples, found, path)


def test_saved_captions_are_read_back_with_all_drafts(dataset: Dataset) -> None:
    samples = [sample for sample in dataset.samples if sample.image.name != "b.png"]
    drafts = {"theme": Generation("pond", 0.5, 1), "objects": Generation("two ducks")}
    described = [Description("A pond.", drafts, 0.75, {"theme": "name it"}), Description("A road.")]
    path = write(dataset.root, caption_lines(samples, described).rstrip())
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {
        "image": "a.png",
        "caption": "A pond.",
        "confidence": 0.75,
        "drafts": {"theme": "pond", "objects": "two ducks"},
        "prompts": {"theme": "name it"},
        "references": [],
    }
    assert (second["image"], second["confidence"], second["references"]) == ("c.png", None, ["a pond ."])
    found = read_captions(path, dataset, "test")
    [read] = found.values.values()
    assert read == Description("A pond.", {"theme": Generation("pond"), "objects": Generation("two ducks")}, 0.75)
    assert found.problems == (f"{path}:2: no image 'c.png' in split 'test'",)


TREES, COUNT = "are there trees?", "how many ships are there?"


class FakeEngine:
    """Its texts begin with the brightness of the image; its batches grow by one image each."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def compare(self, requests: Sequence[Request], ablation_list: Sequence[Ablation]) -> list[list[Description]]:
        self.batch_size += 1
        return [[Description(f"{r.image[0, 0, 0]} {a.name}") for r in requests] for a in ablation_list]

    def ask(self, images: Sequence[np.ndarray], questions: Sequence[str]) -> list[Answer]:
        self.batch_size += 1
        return [Answer(f"{i[0, 0, 0]} {question}", 0.5) for i, question in zip(images, questions, strict=True)]


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Five images as bright as their number, with two questions each."""
    for number in range(5):
        Image.new("RGB", (4, 4), (number, number, number)).save(tmp_path / f"{number}.png")
    questions = (Question(TREES, "yes", "presence"), Question(COUNT, "2", "count"))
    return [Sample(tmp_path / f"{number}.png", "test", (), questions=questions) for number in range(5)]


def test_every_question_is_asked_about_its_image(samples: list[Sample]) -> None:
    batches: list[int] = []
    answers = ask_samples(FakeEngine(3), samples, batches.append)
    assert batches == [3, 4, 3]
    assert answers == {
        (sample.image, question): Answer(f"{number} {question}", 0.5)
        for number, sample in enumerate(samples)
        for question in (TREES, COUNT)
    }


def test_every_image_is_described_once_by_each_ablation_while_the_batch_size_changes(samples: list[Sample]) -> None:
    batches: list[int] = []
    full, unrouted = describe_samples(FakeEngine(1), samples, (FULL_MODEL, Ablation("no router")), batches.append)
    assert batches == [1, 2, 2]
    assert [text.caption for text in full] == [f"{number} {FULL_MODEL.name}" for number in range(5)]
    assert [text.caption for text in unrouted] == [f"{number} no router" for number in range(5)]


def test_descriptions_do_not_depend_on_the_batch_size(karpathy_folder: Path, tiny_folder: Path) -> None:
    engine = load(tiny_folder, device="cpu")
    samples = read_dataset(karpathy_folder).split("test")
    done: list[int] = []
    engine.batch_size = 3
    [described] = describe_samples(engine, samples, progress=done.append)
    assert done == [3, 1]
    engine.batch_size = 1
    [one_by_one] = describe_samples(engine, samples)

    def texts(description: Description) -> tuple[object, ...]:
        drafts = {role: draft.text for role, draft in description.drafts.items()}
        return description.caption, drafts, dict(description.prompts)

    assert list(map(texts, described)) == list(map(texts, one_by_one))
    confidences = [[text.confidence for text in part] for part in (described, one_by_one)]
    assert np.allclose(*confidences, atol=1e-4)


def test_a_missing_annotation_is_an_error() -> None:
    annotated = Sample(Path("a.jpg"), "test", ("a pond .",), scene_class="pond")
    dataset = Dataset(Path("here"), (annotated, dataclasses.replace(annotated, scene_class=None)), ())
    assert samples_with(dataset, "test", "scene_class") == (annotated,)
    with pytest.raises(DataError, match="here: no image in split 'test' has a question; choose another split"):
        samples_with(dataset, "test", "questions")
