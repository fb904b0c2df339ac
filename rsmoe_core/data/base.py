"""Annotated images in any format: folder → Dataset of Samples, with every problem reported; and a summary of it.

`rsmoe_core.data.formats.registry` lists the formats; a folder is read by the first one that recognises it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rsmoe_core.errors import DataError
from rsmoe_core.images import is_north_up
from rsmoe_core.images import read_image as read_image
from rsmoe_core.images import read_size as read_size

SPLITS = ("train", "val", "test", "test_phili")
"""Known splits; `test_phili` is RSVQA-HR's second test, of a city that is not in its other splits."""

_TRAIN_SHARE, _VAL_SHARE = 0.8, 0.1
_TURNED = (
    "GeoTIFFs that are not stored with north up: {}, such as {}; they are learned as they are stored, so 'top' is not "
    "north; warp them with gdalwarp"
)


@dataclass(frozen=True)
class Question:
    """A question about an image, and the right answer."""

    text: str
    """The question, lower case."""
    answer: str
    """The answer, lower case: a word, a number, a range or a sentence."""
    type: str
    """A name of `questions.types.QUESTION_TYPES`, or the data set's own name for the type."""


Box = tuple[float, float, float, float]
"""Centre x, centre y, width and height, in pixels of the image; the sizes are 0 where only a point was marked."""


@dataclass(frozen=True)
class Boxes:
    """All objects of one label in an image, one box each."""

    label: str
    """Name of the object, singular: `ship`."""
    cxcywh: tuple[Box, ...]
    """One box for each object; empty if the image has none."""


@dataclass(frozen=True)
class Sample:
    """One image and its annotations: captions, questions, a scene class or boxes."""

    image: Path
    """The image file."""
    split: str
    """One of `SPLITS`."""
    captions: tuple[str, ...]
    """Sentences, lower case, maybe with repetitions; empty if the image has other annotations only."""
    scene_class: str | None = None
    """The scene class in readable words (`dense residential area`), None if it is not annotated."""
    group: str | None = None
    """Images of one group were taken side by side; a validation split must not separate them."""
    objects: str | None = None
    """What the objects expert should write, if the annotation is exact (boxes); None derives it from the captions."""
    questions: tuple[Question, ...] = ()
    """Questions with their answers, each text once."""
    boxes: Boxes | None = None
    """The objects of one label, if all of them were boxed."""
    metres_per_pixel: float | None = None
    """Ground sample distance, if it is known."""
    synthetic: bool = False
    """Whether the captions were made from other annotations by templates, not written by people."""

    @property
    def unique_captions(self) -> tuple[str, ...]:
        """Each caption once, in order."""
        return tuple(dict.fromkeys(self.captions))


@dataclass(frozen=True)
class Dataset:
    """The samples of a folder and what had to be left out."""

    root: Path
    samples: tuple[Sample, ...]
    problems: tuple[str, ...]
    """One line for each annotation that was left out, with file and position."""

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split, in file order.

        Raises:
            DataError: there are none.
        """
        chosen = tuple(s for s in self.samples if s.split == name)
        if not chosen:
            known = ", ".join(sorted({s.split for s in self.samples}))
            raise DataError(f"{self.root}: no image in split '{name}'; it has: {known or 'none'}")
        return chosen

    def captioned(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split that have captions.

        Raises:
            DataError: there are none.
        """
        return self._chosen(name, lambda sample: bool(sample.captions), "captions; choose a data set with captions")

    def with_text(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split that have captions or questions.

        Raises:
            DataError: there are none.
        """
        return self._chosen(
            name, lambda sample: bool(sample.captions or sample.questions), "captions and no questions; add some"
        )

    def boxed(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split that have boxes.

        Raises:
            DataError: there are none.
        """
        return self._chosen(name, lambda sample: sample.boxes is not None, "boxes; choose a data set with boxes")

    def _chosen(self, name: str, wanted: Callable[[Sample], bool], missing: str) -> tuple[Sample, ...]:
        chosen = tuple(s for s in self.split(name) if wanted(s))
        if not chosen:
            raise DataError(f"{self.root}: split '{name}' has no {missing}")
        return chosen


class Format(Protocol):
    """How data sets of one format are read; each format is a module with these names."""

    RECOGNISED_BY: str
    """The name of the annotation files, for error messages."""

    def find(self, root: Path) -> Path | None:
        """The annotations in `root`, or None if the folder is of another format."""

    def read(self, annotations: Path) -> Dataset:
        """Every usable image, and a problem for everything else.

        Raises:
            DataError: the layout of the annotations is another one.
        """


def hashed_split(name: str) -> str:
    """The split of an image or group in a data set without official splits: 80 % train, 10 % val, 10 % test.

    The first 32 bits of the SHA-256 of `split/NAME` decide. So an image stays in its split when others are added, and
    the choice is independent of the groups that training holds out for validation.
    """
    share = int(hashlib.sha256(f"split/{name}".encode()).hexdigest()[:8], 16) / 2**32
    if share < _TRAIN_SHARE:
        return "train"
    return "val" if share < _TRAIN_SHARE + _VAL_SHARE else "test"


@dataclass(frozen=True)
class SplitCounts:
    """The size of one split."""

    images: int
    captions: int
    """Repeated captions count each time."""
    questions: int


@dataclass(frozen=True)
class DatasetSummary:
    """What is in a data set."""

    splits: dict[str, SplitCounts]
    """Split → its size; empty splits are left out."""
    questions: dict[str, int]
    """Question type → number of questions, most frequent first."""
    scene_classes: dict[str, int]
    """Scene class → number of images annotated with it, most frequent first."""
    sides: tuple[int, int]
    """Shortest and longest side of any image, in pixels; (0, 0) if no image can be opened."""
    problems: tuple[str, ...]
    """What had to be left out, then the images that cannot be opened, and how many are not stored with north up."""


def summarise(dataset: Dataset) -> DatasetSummary:
    """Count what is in the data set; opens every image to read its size."""
    sides: list[int] = []
    problems = list(dataset.problems)
    turned: list[Path] = []
    for sample in dataset.samples:
        try:
            sides += read_size(sample.image)
            if not is_north_up(sample.image):
                turned.append(sample.image)
        except DataError as error:
            problems.append(" ".join(str(error).splitlines()))
    if turned:
        problems.append(_TURNED.format(len(turned), turned[0]))
    types = Counter(question.type for sample in dataset.samples for question in sample.questions)
    classes = Counter(sample.scene_class for sample in dataset.samples if sample.scene_class is not None)
    by_split = {name: [s for s in dataset.samples if s.split == name] for name in SPLITS}
    return DatasetSummary(
        splits={name: _counts(samples) for name, samples in by_split.items() if samples},
        questions=dict(types.most_common()),
        scene_classes=dict(classes.most_common()),
        sides=(min(sides, default=0), max(sides, default=0)),
        problems=tuple(problems),
    )


def _counts(samples: Sequence[Sample]) -> SplitCounts:
    return SplitCounts(len(samples), sum(len(s.captions) for s in samples), sum(len(s.questions) for s in samples))
