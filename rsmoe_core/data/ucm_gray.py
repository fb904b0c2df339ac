"""The UC Merced land-use set in grey, with scene classes and RSIVQA's questions: one `annotations.json`.

    [{"image": "images/1.jpg", "scene": "agricultural", "qa": [["Does this picture contain trees?", "yes"], ...]}]

Five classes are called as the caption sets of the field call such places, so that a model learns one name for each.
Nobody described these pictures: the sentences follow from the class, by `rules`. The kind of a question follows from
its wording. There is no split: `hashed_split` of the picture's file name.
"""

from __future__ import annotations

from pathlib import Path

from rsmoe_core.data.base import Dataset, Question, Sample, hashed_split
from rsmoe_core.data.collect import collect, entries, opens_with
from rsmoe_core.data.questions import kind_of
from rsmoe_core.data.rules import place_sentences
from rsmoe_core.data.scenes import spoken

_CALLED = {
    "agricultural": "farmland",
    "airplane": "airport",
    "baseball diamond": "baseball field",
    "buildings": "commercial area",
    "harbor": "port",
}

RECOGNISED_BY = "annotations.json with a JSON list"


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None where the folder is of another format."""
    return path if opens_with(path := root / "annotations.json", "[") else None


def read(annotations: Path) -> Dataset:
    """Every picture of a known class. Raises DataError where the file is not in this layout."""
    return collect(annotations.parent, entries(annotations), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = root / entry["image"]
    questions = tuple(Question(text, answer, kind_of(text)) for text, answer in entry["qa"])
    named = spoken(entry["scene"])
    scene = _CALLED.get(named, named)
    return Sample(
        image,
        hashed_split(image.name),
        tuple(place_sentences(scene)),
        scene,
        image.stem,
        questions=questions,
        by_rule=True,
    )
