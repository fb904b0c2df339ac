"""Samples of a data set + an engine → predictions, batch by batch. Free of torch: the engine is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from rsmoe_core.data.base import Dataset, Sample, read_image
from rsmoe_core.errors import DataError
from rsmoe_core.evaluation.answers import QuestionKey
from rsmoe_core.inference.ablations import FULL_MODEL, Ablation
from rsmoe_core.types import Answer, Description, Request

if TYPE_CHECKING:  # reading predictions and scoring them needs no torch
    from rsmoe_core.engine import Engine

Item = TypeVar("Item")


def samples_with(dataset: Dataset, split: str, annotation: Literal["questions", "scene_class"]) -> tuple[Sample, ...]:
    """The samples of a split that have this annotation.

    Raises:
        DataError: no sample has it.
    """
    chosen = tuple(sample for sample in dataset.split(split) if getattr(sample, annotation))
    if not chosen:
        name = {"questions": "question", "scene_class": "scene class"}[annotation]
        raise DataError(
            f"{dataset.root}: no image in split '{split}' has a {name}; choose another split or another data set"
        )
    return chosen


def describe_samples(
    engine: Engine,
    samples: Sequence[Sample],
    ablation_list: Sequence[Ablation] = (FULL_MODEL,),
    progress: Callable[[int], object] = lambda done: None,
) -> list[list[Description]]:
    """For each ablation of the engine, a description of each image; `progress` gets the size of each finished batch."""
    described: list[list[Description]] = [[] for _ in ablation_list]
    for batch in _batches(engine, samples):
        requests = [Request(read_image(sample.image)) for sample in batch]
        for so_far, new in zip(described, engine.compare(requests, ablation_list), strict=True):
            so_far += new
        progress(len(batch))
    return described


def ask_samples(
    engine: Engine, samples: Sequence[Sample], progress: Callable[[int], object] = lambda done: None
) -> dict[QuestionKey, Answer]:
    """The engine's answer to every question about the samples; `progress` gets the size of each finished batch."""
    keys = [(sample.image, question.text) for sample in samples for question in sample.questions]
    answers: dict[QuestionKey, Answer] = {}
    for batch in _batches(engine, keys):
        images = {path: read_image(path) for path in {path for path, _ in batch}}
        given = engine.ask([images[path] for path, _ in batch], [text for _, text in batch])
        answers |= zip(batch, given, strict=True)
        progress(len(batch))
    return answers


def _batches(engine: Engine, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Batches of the size that the engine prefers at that moment; it may change from one batch to the next."""
    first = 0
    while first < len(items):
        batch = items[first : first + engine.batch_size]
        yield batch
        first += len(batch)
