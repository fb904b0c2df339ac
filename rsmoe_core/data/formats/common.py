"""Annotation file → Dataset: what all formats share in reading, checking and reporting.

    entries(file), lines(file)  ──▶  (position, row)  ──▶  the format's own `_sample`  ──▶  Collector  ──▶  Dataset

A position is a file with a line or entry number. Formats pass texts on as they are in the annotations; the collector
converts them to lower case and single spaces, and reports what is missing, empty, broken or duplicate.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rsmoe_core.data.base import SPLITS, Dataset, Question, Sample
from rsmoe_core.errors import DataError

_LONGEST = 300
"""Characters of the longest reported problem."""
_IMAGE_FOLDERS = ("", "images", "imgs", "Images", "RSICD_images", "NWPU_images", "Images_LR", "Images_HR", "Data")
"""Where data sets store their images, relative to the folder of the annotations."""


class Collector:
    """Collects the samples of one folder, and reports everything that has to be left out."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._samples: list[Sample] = []
        self._problems: list[str] = []
        self._positions: dict[Path, str] = {}

    @contextmanager
    def reading(self, position: str) -> Iterator[None]:
        """Any error while a row is read in the block becomes a problem, with the row's position."""
        try:
            yield
        except KeyError as error:
            self._problems.append(_problem(position, f"has no {error}"))
        except RecursionError:
            self._problems.append(_problem(position, "nested too deeply"))
        except Exception as error:  # a row may hold values of any type
            self._problems.append(_problem(position, str(error) or type(error).__name__))

    def add(self, position: str, sample: Sample, questions: Sequence[tuple[str, Question]] = ()) -> None:
        """Check a sample whose texts are as in the annotations, and add what is usable of it.

        `questions` are its questions with their positions, if they are in rows of their own.
        """
        with self.reading(position):
            located = questions or [(f"{position}, question {n}", q) for n, q in enumerate(sample.questions, start=1)]
            self._check(sample, len(located))
            problems: list[str] = []
            captions = tuple(_captions(position, sample.captions, problems))
            usable = _usable(located, problems)
            if not (captions or usable or sample.scene_class or sample.boxes):
                reason = f" ({problems[0].removeprefix(position).lstrip(':, ')})" if problems else ""
                raise ValueError(f"{sample.image.name} has no caption, question, scene class or boxes{reason}")
            self._samples.append(dataclasses.replace(sample, captions=captions, questions=usable))
            self._positions[sample.image] = position
            self._problems += problems

    def dataset(self) -> Dataset:
        """Everything that was collected so far."""
        return Dataset(self._root, tuple(self._samples), tuple(self._problems))

    def _check(self, sample: Sample, questions: int) -> None:
        if sample.split not in SPLITS:
            raise ValueError(f"{sample.image.name} is in split '{sample.split}'; known: {', '.join(SPLITS)}")
        for name in ("scene_class", "group", "objects"):
            if not isinstance(getattr(sample, name), str | None):
                raise ValueError(f"{name} of {sample.image.name} is not a text")
        if not Path(os.path.normpath(sample.image)).is_relative_to(os.path.normpath(self._root)):
            raise ValueError(f"{sample.image} is not in the folder of the data set")
        if not isinstance(sample.synthetic, bool):
            raise ValueError(f"synthetic of {sample.image.name} is neither true nor false")
        distance = sample.metres_per_pixel
        if not (distance is None or (type(distance) in (int, float) and 0 < distance < math.inf)):
            raise ValueError(f"metres_per_pixel of {sample.image.name} is not a positive number")
        if (boxes := sample.boxes) is not None:
            if not isinstance(boxes.label, str):
                raise ValueError(f"the label of the boxes of {sample.image.name} is not a text")
            if not all(math.isfinite(number) for box in boxes.cxcywh for number in box):
                raise ValueError(f"a box of {sample.image.name} has infinite coordinates")
        if sample.image in self._positions:
            raise ValueError(f"{sample.image.name} is a duplicate of {self._positions[sample.image]}")
        if not sample.image.is_file():
            raise ValueError(
                f"{sample.image} is missing" + (f", and {questions} questions with it" if questions > 1 else "")
            )


def collect(root: Path, rows: Iterable[tuple[str, Any]], to_sample: Callable[[Path, Any], Sample]) -> Dataset:
    """The samples of an annotation file in `root` in which each row is one image.

    Rows come as (position, content). A row that lacks something, or that `to_sample` refuses with a ValueError, becomes
    a problem with its position.
    """
    collector = Collector(root)
    for position, row in rows:
        with collector.reading(position):
            collector.add(position, to_sample(root, row))
    return collector.dataset()


def load(annotations: Path, key: str | None = None) -> Any:
    """The content of a JSON file, or of its member `key`.

    Raises:
        DataError: it is not there.
    """
    try:
        content = json.loads(annotations.read_text(encoding="utf-8-sig"))
        return content if key is None else content[key]
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise DataError(
            _problem(str(annotations), f"not in the expected layout ({error!r}); repair it or remove the file")
        ) from error


def entries(annotations: Path, key: str | None = None) -> list[tuple[str, Any]]:
    """(position, entry) for each entry of a JSON file's list, which is the member `key` or the whole file.

    Raises:
        DataError: there is no list.
    """
    listed = load(annotations, key)
    if not isinstance(listed, list):
        where = f"'{key}'" if key else "the file"
        raise DataError(
            f"{annotations}: not in the expected layout ({where} is not a list); repair it or remove the file"
        )
    return [(f"{annotations}: entry {number}", entry) for number, entry in enumerate(listed)]


def lines(annotations: Path) -> list[tuple[str, str]]:
    """(position, line) for each line of a text file that is not blank.

    Raises:
        DataError: it is not UTF-8 text.
    """
    try:
        # not splitlines: it would also break at characters that JSON strings may hold, such as U+2028
        found = annotations.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        raise DataError(f"{annotations}: cannot be read as UTF-8 text ({error}); save it as UTF-8") from error
    return [(f"{annotations}:{number}", line) for number, line in enumerate(found, start=1) if line.strip()]


def table_rows(table: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """(position, row) for each line of a CSV table with a header of these columns, and maybe others; missing values are
    empty.

    Raises:
        DataError: the table cannot be read or lacks a column.
    """
    located = lines(table)
    reader = csv.DictReader((line for _, line in located), restval="")
    if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
        raise DataError(f"{table}: no column '{missing[0]}'; its first line has to name {', '.join(columns)}")
    return [(located[reader.line_num - 1][0], row) for row in reader]


def opens_with(path: Path, bracket: str) -> bool:
    """Whether a JSON file exists and begins with this bracket: `[` for a list, `{` for an object."""
    if not path.is_file():
        return False
    with suppress(OSError), path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.read(1000).lstrip().startswith(bracket)
    return False


def find_image(root: Path, name: str) -> Path:
    """The image in `root` or in a folder where data sets store them; directly in `root` if it is in none."""
    return next((path for folder in _IMAGE_FOLDERS if (path := root / folder / name).is_file()), root / name)


def _problem(position: str, reason: str) -> str:
    """One line of limited length."""
    line = " ".join(reason.split())
    position = " ".join(position.splitlines())  # names of folders may have line breaks
    return f"{position}: {line if len(line) <= _LONGEST else line[:_LONGEST] + ' ...'}"


def _captions(position: str, texts: Iterable[Any], problems: list[str]) -> Iterator[str]:
    if not isinstance(texts, list | tuple):
        found = "one text" if isinstance(texts, str) else type(texts).__name__
        raise ValueError(f"{found} where a list of captions is expected: '{texts}'")
    for number, text in enumerate(texts, start=1):
        try:
            yield _text(text, f"caption {number}")
        except ValueError as error:
            problems.append(_problem(position, str(error)))


def _usable(located: Iterable[tuple[str, Question]], problems: list[str]) -> tuple[Question, ...]:
    """The questions that are complete, each text once."""
    usable: dict[str, Question] = {}
    for position, given in located:
        try:
            question = checked_question(given)
            if question.text in usable:
                raise ValueError(f"'{question.text}' is a duplicate question of this image")
            usable[question.text] = question
        except ValueError as error:
            problems.append(_problem(position, str(error)))
    return tuple(usable.values())


def checked_question(given: Question) -> Question:
    """The question with its texts in lower case and single spaces.

    Raises:
        ValueError: one of them is empty or not a text.
    """
    return Question(_text(given.text, "the question"), _text(given.answer, "the answer"), _text(given.type, "its type"))


def _text(given: object, name: str) -> str:
    if not isinstance(given, str):
        raise ValueError(f"{name} is not a text: {given!r}")
    if not (text := " ".join(given.lower().split())):
        raise ValueError(f"{name} is empty")
    return text
