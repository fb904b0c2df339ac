"""Annotation file → Dataset: what all formats share in reading, checking and reporting.

    entries(file), lines(file)  ──▶  (place, row)  ──▶  the format's own `_sample`  ──▶  Collector  ──▶  Dataset

A place is a file with a line or entry number. Formats hand over texts as the annotation has them; the collector gives
them lower case and single spaces, and reports what is missing, empty, broken or there twice.
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
"""Letters that are told of what is wrong."""
# Where the field's data sets keep their pictures, seen from the folder of the annotations.
_PICTURE_FOLDERS = ("", "images", "imgs", "Images", "RSICD_images", "NWPU_images", "Images_LR", "Images_HR", "Data")


class Collector:
    """Takes the pictures of one folder one by one, and notes all that has to be left out."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._samples: list[Sample] = []
        self._problems: list[str] = []
        self._places: dict[Path, str] = {}

    @contextmanager
    def reading(self, place: str) -> Iterator[None]:
        """Whatever is wrong with the row read in the block becomes a problem, named by the row's place."""
        try:
            yield
        except KeyError as error:
            self._problems.append(_problem(place, f"has no {error}"))
        except RecursionError:
            self._problems.append(_problem(place, "lists in lists without end"))
        except Exception as error:  # values of any kind may stand where a format looks for another
            self._problems.append(_problem(place, str(error) or type(error).__name__))

    def add(self, place: str, sample: Sample, asked: Sequence[tuple[str, Question]] = ()) -> None:
        """Check a sample whose texts are as in the annotation, and keep what is usable of it.

        `asked` are its questions with their places, where these stand in rows of their own.
        """
        with self.reading(place):
            placed = asked or [(f"{place}, question {n}", q) for n, q in enumerate(sample.questions, start=1)]
            self._check(sample, len(placed))
            problems: list[str] = []
            captions = tuple(_sentences(place, sample.captions, problems))
            questions = _questions(placed, problems)
            if not (captions or questions or sample.scene_class or sample.boxes):
                reason = f" ({problems[0].removeprefix(place).lstrip(':, ')})" if problems else ""
                raise ValueError(f"{sample.image.name} has no sentence, question, scene or boxes{reason}")
            self._samples.append(dataclasses.replace(sample, captions=captions, questions=questions))
            self._places[sample.image] = place
            self._problems += problems

    def dataset(self) -> Dataset:
        """All that was collected so far."""
        return Dataset(self._root, tuple(self._samples), tuple(self._problems))

    def _check(self, sample: Sample, asked: int) -> None:
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
            raise ValueError(f"metres_per_pixel of {sample.image.name} is no positive number")
        if (boxes := sample.boxes) is not None:
            if not isinstance(boxes.label, str):
                raise ValueError(f"the boxed thing of {sample.image.name} is not a text")
            if not all(math.isfinite(number) for box in boxes.cxcywh for number in box):
                raise ValueError(f"a box of {sample.image.name} is nowhere")
        if sample.image in self._places:
            raise ValueError(f"{sample.image.name} is there already, at {self._places[sample.image]}")
        if not sample.image.is_file():
            raise ValueError(f"{sample.image} is missing" + (f", and {asked} questions with it" if asked > 1 else ""))


def collect(root: Path, rows: Iterable[tuple[str, Any]], to_sample: Callable[[Path, Any], Sample]) -> Dataset:
    """The samples of an annotation file in `root` in which each row is one picture.

    Rows come as (place, content). One that lacks something, or that `to_sample` refuses with a ValueError, becomes a
    problem named by its place.
    """
    collector = Collector(root)
    for place, row in rows:
        with collector.reading(place):
            collector.add(place, to_sample(root, row))
    return collector.dataset()


def load(annotations: Path, key: str | None = None) -> Any:
    """The content of a JSON file, or of its member `key`. Raises DataError where it is not there."""
    try:
        content = json.loads(annotations.read_text(encoding="utf-8-sig"))
        return content if key is None else content[key]
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise DataError(
            _problem(str(annotations), f"not in the expected layout ({error!r}); repair it or remove the file")
        ) from error


def entries(annotations: Path, key: str | None = None) -> list[tuple[str, Any]]:
    """(place, entry) for each entry of a JSON file's list, which is the member `key` or the whole file.

    Raises DataError where there is no list.
    """
    listed = load(annotations, key)
    if not isinstance(listed, list):
        where = f"'{key}'" if key else "the file"
        raise DataError(f"{annotations}: not in the expected layout ({where} is no list); repair it or remove the file")
    return [(f"{annotations}: entry {number}", entry) for number, entry in enumerate(listed)]


def lines(annotations: Path) -> list[tuple[str, str]]:
    """(place, line) for each line of a text file that is not blank. Raises DataError where it is not text."""
    try:
        # not splitlines: it would also break at characters that JSON strings may hold, such as U+2028
        found = annotations.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        raise DataError(f"{annotations}: cannot be read as UTF-8 text ({error}); save it as UTF-8") from error
    return [(f"{annotations}:{number}", line) for number, line in enumerate(found, start=1) if line.strip()]


def table_rows(table: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """(place, row) for each line of a CSV whose head has these columns, and maybe others; a text that is missing is
    empty. Raises DataError where it cannot be read or lacks one.
    """
    placed = lines(table)
    reader = csv.DictReader((line for _, line in placed), restval="")
    if missing := [name for name in columns if name not in (reader.fieldnames or ())]:
        raise DataError(f"{table}: no column '{missing[0]}'; its first line has to name {', '.join(columns)}")
    return [(placed[reader.line_num - 1][0], row) for row in reader]


def opens_with(path: Path, bracket: str) -> bool:
    """Whether a JSON file is there and begins with this bracket: `[` for a list, `{` for an object."""
    if not path.is_file():
        return False
    with suppress(OSError), path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.read(1000).lstrip().startswith(bracket)
    return False


def find_picture(root: Path, name: str) -> Path:
    """The picture in `root` or in the folder where such data sets keep them; directly in `root` if it is nowhere."""
    return next((path for folder in _PICTURE_FOLDERS if (path := root / folder / name).is_file()), root / name)


def _problem(place: str, what: str) -> str:
    """One line of a bearable length."""
    line = " ".join(what.split())
    return f"{place}: {line if len(line) <= _LONGEST else line[:_LONGEST] + ' ...'}"


def _sentences(place: str, texts: Iterable[Any], problems: list[str]) -> Iterator[str]:
    if not isinstance(texts, list | tuple):
        kind = "one text" if isinstance(texts, str) else type(texts).__name__
        raise ValueError(f"{kind} where a list of sentences is expected: '{texts}'")
    for number, text in enumerate(texts, start=1):
        try:
            yield _text(text, f"sentence {number}")
        except ValueError as error:
            problems.append(_problem(place, str(error)))


def _questions(placed: Iterable[tuple[str, Question]], problems: list[str]) -> tuple[Question, ...]:
    usable: dict[str, Question] = {}
    for place, given in placed:
        try:
            question = checked_question(given)
            if question.text in usable:
                raise ValueError(f"'{question.text}' is asked of this picture already")
            usable[question.text] = question
        except ValueError as error:
            problems.append(_problem(place, str(error)))
    return tuple(usable.values())


def checked_question(given: Question) -> Question:
    """The question with its texts in lower case and single spaces. Raises ValueError where one is empty or no text."""
    return Question(_text(given.text, "the question"), _text(given.answer, "the answer"), _text(given.type, "its kind"))


def _text(given: object, what: str) -> str:
    if not isinstance(given, str):
        raise ValueError(f"{what} is not a text: {given!r}")
    if not (text := " ".join(given.lower().split())):
        raise ValueError(f"{what} is empty")
    return text
