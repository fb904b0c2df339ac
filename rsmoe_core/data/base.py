"""Annotated pictures, whatever format they came in: folder → Dataset of Samples, with every problem reported.

A folder is read by the first format that recognises it; `FORMATS` in `rsmoe_core.data` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsmoe_core.errors import DataError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """One picture and what people (or documented rules) say about it."""

    image: Path
    """The picture's file."""
    split: str
    """`train`, `val` or `test`."""
    captions: tuple[str, ...]
    """At least one sentence, lower case as given; a sentence may occur more than once and then weighs more."""
    scene: str | None = None
    """The kind of place in words (`dense residential area`), None where it is not annotated."""
    series: str | None = None
    """Pictures of one series were taken side by side; a validation split must not tear a series apart."""
    objects: str | None = None
    """Objects draft, where the annotation is exact (boxes); None lets `targets` derive it from the sentences."""


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


def collect(root: Path, rows: Iterable[tuple[str, Any]], to_sample: Callable[[Path, Any], Sample]) -> Dataset:
    """The samples of all usable rows of an annotation file in `root`.

    Rows come as (place in the file, content). One that lacks something, or that `to_sample` refuses with a ValueError,
    becomes a problem named by its place.
    """
    samples: list[Sample] = []
    problems: list[str] = []
    for place, row in rows:
        try:
            samples.append(_checked(to_sample(root, row)))
        except KeyError as error:
            problems.append(f"{place}: has no {error}")
        except (TypeError, ValueError, AttributeError) as error:
            problems.append(f"{place}: {error}")
    return Dataset(root, tuple(samples), tuple(problems))


def sentences(texts: Iterable[str]) -> tuple[str, ...]:
    """Sentences in lower case with single spaces; those without any word are left out."""
    if isinstance(texts, str):
        raise ValueError(f"one text where a list of sentences is expected: '{texts}'")
    return tuple(text for given in texts if (text := " ".join(given.lower().split())))


def _checked(sample: Sample) -> Sample:
    if not sample.captions:
        raise ValueError(f"{sample.image.name} has no sentence")
    if sample.split not in SPLITS:
        raise ValueError(f"{sample.image.name} is in split '{sample.split}'; known: {', '.join(SPLITS)}")
    if not sample.image.is_file():
        raise ValueError(f"{sample.image} is missing")
    return sample


def read_image(path: Path) -> NDArray[np.uint8]:
    """A picture as HxWx3 uint8, red-green-blue. Raises DataError where it cannot be read."""
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a picture ({error}); remove or replace it") from error
