"""Annotated pictures, whatever format they came in: folder → Dataset of Samples, with every problem reported.

A folder is read by the first format that recognises it; `FORMATS` in `rsmoe_core.data` lists them.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsmoe_core.errors import DataError

SPLITS = ("train", "val", "test", "test_phili")
"""Known splits; `test_phili` is RSVQA-HR's second test, of a city that its other splits do not show."""

_PICTURES = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
# Pictures up to twice Pillow's first limit are read, and need no warning each; those beyond it are refused.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_TRAIN_SHARE, _VAL_SHARE = 0.8, 0.1


@dataclass(frozen=True)
class Question:
    """What was asked about a picture, and the right answer."""

    text: str
    """The question, lower case."""
    answer: str
    """The answer, lower case: a word, a number, a range or a sentence."""
    type: str
    """What is asked for, in the words of `questions.question_type`: `presence`, `count`, `comparison`, `theme`, ..."""


Box = tuple[float, float, float, float]
"""Centre x, centre y, width and height, in pixels of the picture; the sizes are 0 where only a point was boxed."""


@dataclass(frozen=True)
class Boxes:
    """Everything of one kind in a picture, boxed one by one."""

    label: str
    """The kind, singular: `ship`."""
    cxcywh: tuple[Box, ...]
    """All of them; none says that there is none."""


@dataclass(frozen=True)
class Sample:
    """One picture and what people (or documented rules) say about it: a sentence, a question, the kind of place or
    marks on things.
    """

    image: Path
    """The picture's file."""
    split: str
    """One of `SPLITS`."""
    captions: tuple[str, ...]
    """Sentences, lower case; one may occur more than once. Empty where there are questions or a scene only."""
    scene_class: str | None = None
    """The kind of place in words (`dense residential area`), None where it is not annotated."""
    group: str | None = None
    """Pictures of one series were taken side by side; a validation split must not tear a series apart."""
    objects: str | None = None
    """Objects draft, where the annotation is exact (boxes); None lets `targets` derive it from the sentences."""
    questions: tuple[Question, ...] = ()
    """Questions with their answers, each text once."""
    boxes: Boxes | None = None
    """The things of one kind, where people boxed them all."""
    metres_per_pixel: float | None = None
    """Ground sample distance, where it is known."""
    synthetic: bool = False
    """The sentences follow from annotations by rule: they are right as they are, and nobody's way of putting things."""

    @property
    def unique_captions(self) -> tuple[str, ...]:
        """Each sentence once, in order."""
        return tuple(dict.fromkeys(self.captions))


@dataclass(frozen=True)
class Dataset:
    """The samples of a folder and what had to be left out."""

    root: Path
    samples: tuple[Sample, ...]
    problems: tuple[str, ...]
    """One line for each thing that was skipped, with file and place."""

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split, in file order. Raises DataError where there are none."""
        chosen = tuple(s for s in self.samples if s.split == name)
        if not chosen:
            known = ", ".join(sorted({s.split for s in self.samples}))
            raise DataError(f"{self.root}: no picture in split '{name}'; it has: {known or 'none'}")
        return chosen

    def captioned(self, name: str) -> tuple[Sample, ...]:
        """Those samples of one split that have sentences. Raises DataError where there are none."""
        return self._those(name, lambda sample: bool(sample.captions), "sentences; choose a data set with captions")

    def worded(self, name: str) -> tuple[Sample, ...]:
        """Those samples of one split that have sentences or questions. Raises DataError where there are none."""
        return self._those(
            name, lambda sample: bool(sample.captions or sample.questions), "sentences and no questions; add some"
        )

    def boxed(self, name: str) -> tuple[Sample, ...]:
        """Those samples of one split whose things are boxed. Raises DataError where there are none."""
        return self._those(name, lambda sample: sample.boxes is not None, "marks on things; choose one with objects")

    def _those(self, name: str, wanted: Callable[[Sample], bool], missing: str) -> tuple[Sample, ...]:
        chosen = tuple(s for s in self.split(name) if wanted(s))
        if not chosen:
            raise DataError(f"{self.root}: split '{name}' has no {missing}")
        return chosen


class Format(Protocol):
    """How data sets of one kind are read; each format is a module with these names."""

    RECOGNISED_BY: str
    """The name of the annotations, as it is told to people."""

    def find(self, root: Path) -> Path | None:
        """The annotations in `root`, or None where the folder is of another format."""

    def read(self, annotations: Path) -> Dataset:
        """Every usable picture, and a problem for all that is not. DataError where the layout is another one."""


def hashed_split(name: str) -> str:
    """The split of a picture (or series) in a data set that has no official one: 80 % train, 10 % val, 10 % test.

    The SHA-256 of `split/NAME` decides: its first 32 bits, as a share of their range. So a picture stays in its split
    when others are added, and the choice has nothing to do with the series that training holds out.
    """
    share = int(hashlib.sha256(f"split/{name}".encode()).hexdigest()[:8], 16) / 2**32
    if share < _TRAIN_SHARE:
        return "train"
    return "val" if share < _TRAIN_SHARE + _VAL_SHARE else "test"


def read_image(path: Path) -> NDArray[np.uint8]:
    """A picture as HxWx3 uint8, red-green-blue. Raises DataError where it cannot be read."""
    with _opened(path) as picture:
        return np.asarray(picture.convert("RGB"))


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the file's head. Raises DataError where it is no picture."""
    with _opened(path) as picture:
        return picture.size


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A picture of one of the formats that Pillow reads by itself; for others it would start programs."""
    try:
        with Image.open(path, formats=_PICTURES) as picture:
            yield picture
    except Exception as error:  # a damaged picture can make Pillow raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: cannot be read as a picture ({reason}); remove or replace it") from error
