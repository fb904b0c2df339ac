"""Samples of a data set → predictions, by an engine or from a file of JSON lines that any program wrote.

An engine's captions are saved as such lines, too:

    {"image": "1.jpg", "question": "are there trees?", "answer": "yes", "confidence": 0.9}
    {"image": "1.jpg", "caption": "Many trees are near a pond.", "theme": "pond", "confidence": 0.4}

`image` is the image's file name, or its path in the data set's folder where several images have that name. `theme` and
`confidence` are optional; what a model wrote has `drafts` by role instead of a `theme`. Other keys are ignored. A line
that cannot be used is reported with its number.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from rsmoe_core.data.base import Dataset, Sample, read_image
from rsmoe_core.data.formats.common import Collector, lines
from rsmoe_core.errors import DataError
from rsmoe_core.evaluation.answers import QuestionKey
from rsmoe_core.inference.ablations import FULL_MODEL, Ablation
from rsmoe_core.types import Answer, Description, Generation, Request

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


Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Predictions(Generic[Key, Value]):
    """The content of a file of predictions."""

    values: dict[Key, Value]
    problems: tuple[str, ...]
    """One line for each line of the file that cannot be used."""


def read_answers(path: Path, dataset: Dataset, split: str) -> Predictions[QuestionKey, Answer]:
    """The answers to questions about the images of a split.

    Raises:
        DataError: the file is not text.
    """
    find = _sample_finder(dataset, split)

    def parse(row: dict) -> tuple[QuestionKey, Answer]:
        sample, question = find(row["image"]), _normalised(_text(row, "question"))
        if all(known.text != question for known in sample.questions):
            raise ValueError(f"'{question}' is not a question about {sample.image.name}")
        return (sample.image, question), Answer(_text(row, "answer"), _confidence(row))

    return _read(path, dataset, parse)


def read_captions(path: Path, dataset: Dataset, split: str) -> Predictions[Path, Description]:
    """The captions of the images of a split, with themes and confidences where the file has them.

    Raises:
        DataError: the file is not text.
    """
    find = _sample_finder(dataset, split)

    def parse(row: dict) -> tuple[Path, Description]:
        return find(row["image"]).image, Description(_text(row, "caption"), _drafts(row), _confidence(row))

    return _read(path, dataset, parse)


def descriptions_of(
    samples: Sequence[Sample], captions: Predictions[Path, Description], path: Path
) -> list[Description]:
    """The description of each sample, in order.

    Raises:
        DataError: the file `path` has none of some samples.
    """
    if missing := [sample.image.name for sample in samples if sample.image not in captions.values]:
        raise DataError(
            f"{path}: no caption for {len(missing)} of {len(samples)} images, such as {missing[0]}; "
            "write a line for each image of the split"
        )
    return [captions.values[sample.image] for sample in samples]


def caption_lines(samples: Sequence[Sample], descriptions: Sequence[Description]) -> str:
    """The content of a file that `read_captions` reads: all that router, experts and fusion wrote about each image."""
    rows = (
        {
            "image": sample.image.name,
            "caption": description.caption,
            "confidence": description.confidence,
            "drafts": {role: draft.text for role, draft in description.drafts.items()},
            "prompts": dict(description.prompts),
            "references": list(sample.captions),
        }
        for sample, description in zip(samples, descriptions, strict=True)
    )
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def _read(path: Path, dataset: Dataset, parse: Callable[[dict], tuple[Key, Value]]) -> Predictions[Key, Value]:
    values: dict[Key, Value] = {}
    collector = Collector(dataset.root)
    for location, line in lines(path):
        with collector.reading(location):
            key, value = parse(json.loads(line))
            if key in values:
                raise ValueError("repeats an earlier line; the first one counts")
            values[key] = value
    return Predictions(values, collector.dataset().problems)


def _sample_finder(dataset: Dataset, split: str) -> Callable[[Any], Sample]:
    """A function that finds a sample of the split by the file name or path of its image."""
    samples = dataset.split(split)
    names = Counter(sample.image.name for sample in samples)
    known = {sample.image.name: sample for sample in samples if names[sample.image.name] == 1}
    inside = [sample for sample in samples if sample.image.is_relative_to(dataset.root)]
    known |= {sample.image.relative_to(dataset.root).as_posix(): sample for sample in inside}

    def find(name: Any) -> Sample:
        if name in known:
            return known[name]
        if name in names:
            raise ValueError(f"{names[name]} images are called '{name}'; give the path in the folder")
        raise ValueError(f"no image '{name}' in split '{split}'")

    return find


def _drafts(row: dict) -> dict[str, Generation]:
    texts = row.get("drafts") or {}
    drafts = {role: Generation(_text(texts, role)) for role in texts}
    source = row if "theme" in row else texts
    if "theme" in source:
        drafts["theme"] = Generation(_normalised(_text(source, "theme")))
    return drafts


def _text(row: dict, name: str) -> str:
    """A text; numbers are accepted, as answers are often written so."""
    if isinstance(value := row[name], bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{name} is not a text: {value!r}")
    return str(value)


def _normalised(text: str) -> str:
    """Lower case and single spaces, like the texts of data sets."""
    return " ".join(text.lower().split())


def _confidence(row: dict) -> float | None:
    value = row.get("confidence")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"confidence is not a number from 0 to 1: {value!r}")
    return float(value)
