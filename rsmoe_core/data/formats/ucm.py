"""The UC Merced land-use set in true colour, with people's sentences and RSIVQA's questions: one `annotations.json`.

    [{"image": "images/1.webp", "scene": "agricultural", "captions": ["There is a piece of farmland .", ...],
      "objects": ["field", "trees"], "qa": [["Does this picture contain trees?", "yes"], ...]}]

Five classes are called as the caption sets of the field call such places, so that a model learns one name for each.
An entry without sentences gets some from its class, by `rules`. The kind of a question follows from its wording. The
`objects`, which of 17 labels (`airplane`, `bare-soil`, ...) are in the picture, are not read: they say nothing of how
many there are, and a sample has no place for them.

Pictures are numbered class by class, and neighbours often show the same place. So there is no split of single pictures:
ten in a row are a series, and `hashed_split` of its name is the split of all ten. The last picture of one series and
the first of the next may still be alike. A picture whose name is no number is a series of its own.
"""

from __future__ import annotations

from pathlib import Path

from rsmoe_core.data.base import Dataset, Question, Sample, hashed_split
from rsmoe_core.data.formats.common import collect, entries, opens_with
from rsmoe_core.data.templates import place_sentences
from rsmoe_core.questions.types import question_type
from rsmoe_core.words.scene_classes import spoken

_CALLED = {
    "agricultural": "farmland",
    "airplane": "airport",
    "baseball diamond": "baseball field",
    "buildings": "commercial area",
    "harbor": "port",
}

_SERIES_LENGTH = 10

RECOGNISED_BY = "annotations.json with a JSON list"


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None where the folder is of another format."""
    return path if opens_with(path := root / "annotations.json", "[") else None


def read(annotations: Path) -> Dataset:
    """Every picture that has sentences or a known class. Raises DataError where the file is not in this layout."""
    return collect(annotations.parent, entries(annotations), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = root / entry["image"]
    questions = tuple(Question(text, answer, question_type(text)) for text, answer in entry["qa"])
    named = spoken(entry["scene"])
    scene = _CALLED.get(named, named)
    captions = entry.get("captions")
    block = _block(scene, image.stem)
    return Sample(
        image,
        hashed_split(block),
        captions or tuple(place_sentences(scene)),
        scene,
        f"ucm:{block}",  # RSICD has series of the same names
        questions=questions,
        synthetic=not captions,
    )


def _block(scene: str, stem: str) -> str:
    """The ten pictures that one belongs to: numbers begin with 1, so 1 to 10 are the first."""
    return f"{scene}:{(int(stem) - 1) // _SERIES_LENGTH}" if stem.isdecimal() else stem
