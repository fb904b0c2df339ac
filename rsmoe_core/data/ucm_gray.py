"""The UC Merced land-use set in grey, with scene classes and RSIVQA's questions: one `annotations.json`.

    [{"image": "images/1.jpg", "scene": "agricultural", "qa": [["Does this picture contain trees?", "yes"], ...]}]

The kind of a question follows from its wording. There is no split: `hashed_split` of the picture's file name. Pictures
of which nothing is asked are left out and reported.
"""

from __future__ import annotations

from pathlib import Path

from rsmoe_core.data.base import Dataset, Question, Sample, hashed_split
from rsmoe_core.data.collect import collect, entries, opens_with
from rsmoe_core.data.questions import kind_of
from rsmoe_core.data.scenes import spoken

RECOGNISED_BY = "annotations.json with a JSON list"


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None where the folder is of another format."""
    return path if opens_with(path := root / "annotations.json", "[") else None


def read(annotations: Path) -> Dataset:
    """Every picture of which something is asked. Raises DataError where the file is not in this layout."""
    return collect(annotations.parent, entries(annotations), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = root / entry["image"]
    questions = tuple(Question(text, answer, kind_of(text)) for text, answer in entry["qa"])
    return Sample(image, hashed_split(image.name), (), spoken(entry["scene"]), image.stem, questions=questions)
