"""What is in a data set, in numbers, and whether its pictures can be opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rsmoe_core.data.base import SPLITS, Dataset, Sample, read_size
from rsmoe_core.errors import DataError


@dataclass(frozen=True)
class Counts:
    """How much there is in one split."""

    pictures: int
    captions: int
    """Sentences; a repeated one counts each time."""
    questions: int


@dataclass(frozen=True)
class Summary:
    """What is in a data set."""

    splits: dict[str, Counts]
    """Split → what is in it; splits without pictures are left out."""
    questions: dict[str, int]
    """Kind of question → how many, commonest first."""
    scenes: dict[str, int]
    """Kind of place → pictures that are annotated with it, commonest first."""
    sides: tuple[int, int]
    """Shortest and longest side of any picture, in pixels; (0, 0) where none can be opened."""
    problems: tuple[str, ...]
    """What had to be left out, then the pictures that cannot be opened."""


def summarise(dataset: Dataset) -> Summary:
    """Count what is in the data set; opens every picture to read its size."""
    sides: list[int] = []
    unreadable: list[str] = []
    for sample in dataset.samples:
        try:
            sides += read_size(sample.image)
        except DataError as error:
            unreadable.append(str(error))
    kinds = Counter(question.type for sample in dataset.samples for question in sample.questions)
    scenes = Counter(sample.scene_class for sample in dataset.samples if sample.scene_class is not None)
    chosen = {name: [s for s in dataset.samples if s.split == name] for name in SPLITS}
    return Summary(
        splits={name: _counts(samples) for name, samples in chosen.items() if samples},
        questions=dict(kinds.most_common()),
        scenes=dict(scenes.most_common()),
        sides=(min(sides, default=0), max(sides, default=0)),
        problems=(*dataset.problems, *unreadable),
    )


def _counts(samples: Sequence[Sample]) -> Counts:
    return Counts(len(samples), sum(len(s.captions) for s in samples), sum(len(s.questions) for s in samples))
