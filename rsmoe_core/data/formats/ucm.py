"""The UC Merced land-use set in true colour, with people's sentences and RSIVQA's questions: one `annotations.json`.

    [{"image": "images/1.webp", "scene": "agricultural", "captions": ["There is a piece of farmland .", ...],
      "objects": ["field", "trees"], "qa": [["Does this picture contain trees?", "yes"], ...]}]

Five classes get the names that the field's caption sets have for them, so that a model learns one name for each. An
entry without captions gets templates of its class (`rsmoe_core.data.templates`). Question types follow from keywords.
The `objects`, which of 17 labels (`airplane`, `bare-soil`, ...) are in the image, are not read: they give no counts.

Images are numbered class by class, and neighbours often show the same location. So images are not split one by one: ten
in a row are a group, and `hashed_split` of its name is the split of all ten. The last image of one group and the first
of the next may still be similar. An image whose name is not a number is a group of its own.
"""

from __future__ import annotations

from pathlib import Path

from rsmoe_core.data.base import Dataset, Question, Sample, hashed_split
from rsmoe_core.data.formats.common import collect, entries, opens_with
from rsmoe_core.data.templates import scene_class_sentences
from rsmoe_core.questions.types import question_type
from rsmoe_core.words.scene_classes import readable_name

_RENAMED = {
    "agricultural": "farmland",
    "airplane": "airport",
    "baseball diamond": "baseball field",
    "buildings": "commercial area",
    "harbor": "port",
}

_GROUP_LENGTH = 10

RECOGNISED_BY = "annotations.json with a JSON list"


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None if the folder is of another format."""
    return path if opens_with(path := root / "annotations.json", "[") else None


def read(annotations: Path) -> Dataset:
    """Every image that has captions or a class with a template.

    Raises:
        DataError: the file is not in this layout.
    """
    return collect(annotations.parent, entries(annotations), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = root / entry["image"]
    questions = tuple(Question(text, answer, question_type(text)) for text, answer in entry["qa"])
    name = readable_name(entry["scene"])
    scene_class = _RENAMED.get(name, name)
    captions = entry.get("captions")
    group = _group(scene_class, image.stem)
    return Sample(
        image,
        hashed_split(group),
        captions or tuple(scene_class_sentences(scene_class)),
        scene_class,
        f"ucm:{group}",  # RSICD has groups of the same names
        questions=questions,
        synthetic=not captions,
    )


def _group(scene_class: str, stem: str) -> str:
    """The ten images that one belongs to: numbers start at 1, so 1 to 10 are the first ten."""
    return f"{scene_class}:{(int(stem) - 1) // _GROUP_LENGTH}" if stem.isdecimal() else stem
