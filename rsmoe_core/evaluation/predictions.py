"""Answers and captions that some program wrote, one JSON object a line → what the evaluations score.

    {"image": "1.jpg", "question": "are there trees?", "answer": "yes", "confidence": 0.9}
    {"image": "1.jpg", "caption": "Many trees are near a pond.", "theme": "pond", "confidence": 0.4}

`image` is the picture's file name, or its path in the data set's folder where several pictures have that name. `theme`
and `confidence` may be left out, and anything else may be there. A line that cannot be used is reported by its number.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.data.formats.common import Collector, lines
from rsmoe_core.errors import DataError
from rsmoe_core.evaluation.answers import Answer, Asked
from rsmoe_core.types import Description

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Saved(Generic[Key, Value]):
    """What a file says."""

    said: dict[Key, Value]
    problems: tuple[str, ...]
    """One line for each line of the file that cannot be used."""


def read_answers(path: Path, dataset: Dataset, split: str) -> Saved[Asked, Answer]:
    """The answers to questions about the pictures of a split. Raises DataError where the file is no text."""
    find = _detectors(dataset, split)

    def answer(row: dict) -> tuple[Asked, Answer]:
        sample, question = find(row["image"]), _plain(_text(row, "question"))
        if all(known.text != question for known in sample.questions):
            raise ValueError(f"'{question}' is not asked of {sample.image.name}")
        return (sample.image, question), (_text(row, "answer"), _confidence(row))

    return _read(path, dataset, answer)


def read_captions(path: Path, dataset: Dataset, split: str) -> Saved[Path, Description]:
    """What is said of the pictures of a split; confidence is NaN where none is given. DataError where it is no text."""
    find = _detectors(dataset, split)

    def caption(row: dict) -> tuple[Path, Description]:
        confidence = _confidence(row)
        known = math.nan if confidence is None else confidence
        theme = _plain(_text(row, "theme")) if "theme" in row else ""
        return find(row["image"]).image, Description(_text(row, "caption"), theme, "", "", known)

    return _read(path, dataset, caption)


def said_of(samples: Sequence[Sample], captions: Saved[Path, Description], path: Path) -> list[Description]:
    """What the file says of each of the samples. Raises DataError where it says nothing of some."""
    if missing := [sample.image.name for sample in samples if sample.image not in captions.said]:
        raise DataError(
            f"{path}: no caption for {len(missing)} of {len(samples)} pictures, such as {missing[0]}; "
            "write a line for each picture of the split"
        )
    return [captions.said[sample.image] for sample in samples]


def _read(path: Path, dataset: Dataset, parse: Callable[[dict], tuple[Key, Value]]) -> Saved[Key, Value]:
    found: dict[Key, Value] = {}
    collector = Collector(dataset.root)
    for place, line in lines(path):
        with collector.reading(place):
            key, value = parse(json.loads(line))
            if key in found:
                raise ValueError("says again what an earlier line says; the first one counts")
            found[key] = value
    return Saved(found, collector.dataset().problems)


def _detectors(dataset: Dataset, split: str) -> Callable[[Any], Sample]:
    """Finds a picture of the split by its file name or path."""
    samples = dataset.split(split)
    names = Counter(sample.image.name for sample in samples)
    known = {sample.image.name: sample for sample in samples if names[sample.image.name] == 1}
    inside = [sample for sample in samples if sample.image.is_relative_to(dataset.root)]
    known |= {sample.image.relative_to(dataset.root).as_posix(): sample for sample in inside}

    def find(name: Any) -> Sample:
        if name in known:
            return known[name]
        if name in names:
            raise ValueError(f"{names[name]} pictures are called '{name}'; give the path in the folder")
        raise ValueError(f"no picture '{name}' in split '{split}'")

    return find


def _text(row: dict, name: str) -> str:
    """A text; a number counts as one, as answers are often written so."""
    if isinstance(value := row[name], bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{name} is not a text: {value!r}")
    return str(value)


def _plain(text: str) -> str:
    """As data sets are read: lower case and single spaces."""
    return " ".join(text.lower().split())


def _confidence(row: dict) -> float | None:
    value = row.get("confidence")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"confidence is no number from 0 to 1: {value!r}")
    return float(value)
