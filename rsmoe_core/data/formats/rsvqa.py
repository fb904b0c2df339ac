"""RSVQA-LR and RSVQA-HR (Lobry et al. 2020): three JSON files for each split, and images named by their number.

    LR_split_train_images.json     {"images": [{"id": 0, "questions_ids": [0, 1], "active": true}, ...]}
    LR_split_train_questions.json  {"questions": [{"id": 0, "img_id": 0, "type": "comp", "question": "...",
                                                   "answers_ids": [0], "active": true}, ...]}
    LR_split_train_answers.json    {"answers": [{"id": 0, "question_id": 0, "answer": "yes", "active": true}, ...]}
    Images_LR/0.tif

RSVQA-HR has `USGS` instead of `LR`, and the split `test_phili` besides `train`, `val` and `test`. An entry's position
in its list is its id: entries of other splits are there as stubs, `{"id": 7, "active": false}`, and are skipped. As in
the authors' code, counts of LR and areas of HR are answered by ranges; counts of HR stay numbers. The reader follows a
description of the layout and was not tried on the data set itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from rsmoe_core.data.base import SPLITS, Dataset, Question, Sample
from rsmoe_core.data.formats.common import Collector, entries, find_image
from rsmoe_core.errors import DataError
from rsmoe_core.questions.types import question_type

RECOGNISED_BY = "*_split_*_images.json"

_LIMITS = (0, 10, 100, 1000)
_AREA = re.compile(r"(\d+) ?m2")

_Rows = list[tuple[str, Any]]


@dataclass(frozen=True)
class _Split:
    """The three lists of one split, each row with its position."""

    name: str
    images: _Rows
    questions: _Rows
    answers: _Rows
    ranged_counts: bool
    """Whether counts are answered by ranges."""


def find(root: Path) -> Path | None:
    """The list of one split's images, or None if the folder is of another format."""
    return next(iter(sorted(root.glob(RECOGNISED_BY))), None)


def read(annotations: Path) -> Dataset:
    """Every active image of every split of the set.

    Raises:
        DataError: a split's file is missing or broken.
    """
    root = annotations.parent
    collector = Collector(root)
    for split in _splits(root):
        for position, image in split.images:
            with collector.reading(position):
                if image["active"]:
                    sample = Sample(find_image(root, f"{image['id']}.tif"), split.name, (), group=str(image["id"]))
                    questions = list(_questions(collector, position, image, split))
                    collector.add(position, sample, questions=questions)
    return collector.dataset()


def ranged(number: int, unit: str = "") -> str:
    """The range that a number is answered by: `0`, `between 0 and 10`, ..., `more than 1000`.

    A limit belongs to the lower range. For areas the unit is `m2`: `between 10m2 and 100m2`.
    """
    if number == 0:
        return f"0{unit}"
    for low, high in pairwise(_LIMITS):
        if number <= high:
            return f"between {low}{unit} and {high}{unit}"
    return f"more than {_LIMITS[-1]}{unit}"


def _splits(root: Path) -> Iterator[_Split]:
    sets = sorted({path.name.split("_split_")[0] for path in root.glob(RECOGNISED_BY)})
    if len(sets) > 1:
        raise DataError(f"{root}: holds the sets {' and '.join(sets)}; give each its own folder")
    for name in SPLITS:
        start = f"{sets[0]}_split_{name}"
        if (root / f"{start}_images.json").is_file():
            images, questions, answers = (
                entries(root / f"{start}_{part}.json", part) for part in ("images", "questions", "answers")
            )
            yield _Split(name, images, questions, answers, ranged_counts=sets[0] == "LR")


def _questions(collector: Collector, at: str, image: dict, split: _Split) -> Iterator[tuple[str, Question]]:
    """The active questions about the image whose entry is at a position, each with its own position."""
    for number in image["questions_ids"]:
        position = f"{at}, question {number!r:.20}"  # a broken file may have anything here
        with collector.reading(position):
            question = _row(split.questions, number)
            if question["active"]:
                if question["img_id"] != image["id"]:
                    raise ValueError(f"it is about image {question['img_id']}")
                type = question_type(question["question"], question["type"])
                yield position, Question(question["question"], _answer(question, type, split), type)


def _answer(question: dict, type: str, split: _Split) -> str:
    """The first active answer; empty if there is none."""
    answers = (_row(split.answers, number) for number in question["answers_ids"])
    given = next((str(answer["answer"]) for answer in answers if answer["active"]), "")
    if type == "count" and split.ranged_counts and given.isdecimal():
        return ranged(int(given))
    area = _AREA.fullmatch(given)
    return ranged(int(area[1]), "m2") if area else given


def _row(rows: _Rows, number: int) -> dict:
    """The entry with this id, which is also its position in the list.

    Raises:
        ValueError: another entry is there.
    """
    if not 0 <= number < len(rows) or rows[number][1]["id"] != number:
        raise ValueError(f"no entry with id {number} is at that position of its list")
    return rows[number][1]
