"""What is in a data set, in numbers, and whether its images can be opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rsmoe_core.data.base import SPLITS, Dataset, Sample, read_size
from rsmoe_core.errors import DataError


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
    """What had to be left out, then the images that cannot be opened."""


def summarise(dataset: Dataset) -> DatasetSummary:
    """Count what is in the data set; opens every image to read its size."""
    sides: list[int] = []
    unreadable: list[str] = []
    for sample in dataset.samples:
        try:
            sides += read_size(sample.image)
        except DataError as error:
            unreadable.append(str(error))
    types = Counter(question.type for sample in dataset.samples for question in sample.questions)
    classes = Counter(sample.scene_class for sample in dataset.samples if sample.scene_class is not None)
    by_split = {name: [s for s in dataset.samples if s.split == name] for name in SPLITS}
    return DatasetSummary(
        splits={name: _counts(samples) for name, samples in by_split.items() if samples},
        questions=dict(types.most_common()),
        scene_classes=dict(classes.most_common()),
        sides=(min(sides, default=0), max(sides, default=0)),
        problems=(*dataset.problems, *unreadable),
    )


def _counts(samples: Sequence[Sample]) -> SplitCounts:
    return SplitCounts(len(samples), sum(len(s.captions) for s in samples), sum(len(s.questions) for s in samples))
