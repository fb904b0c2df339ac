from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsmoe_core.data.base import Dataset, Question, Sample
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.engine import load
from rsmoe_core.errors import DataError
from rsmoe_core.evaluation.run import ask_samples, describe_samples, samples_with
from rsmoe_core.inference.ablations import FULL_MODEL, Ablation
from rsmoe_core.types import Answer, Description, Request

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
