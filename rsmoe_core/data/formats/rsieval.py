"""RSIEval (Hu et al. 2023): one `annotations.json`, a long caption and typed questions for each of 100 images.

    {"annotations": [{"filename": "P0003_0002.png", "caption": "...",
                      "qa_pairs": [{"question": "...", "answer": "Yes.", "type": "presence"}]}]}

It is a benchmark, so every image is in the split `test`. The reader follows a description of the layout and was not
tried on the data set itself.
"""

from __future__ import annotations

from pathlib import Path

from rsmoe_core.data.base import Dataset, Question, Sample
from rsmoe_core.data.formats.common import collect, entries, find_image, opens_with
from rsmoe_core.questions.types import question_type

RECOGNISED_BY = "annotations.json with a JSON object"


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None if the folder is of another format."""
    return path if opens_with(path := root / "annotations.json", "{") else None


def read(annotations: Path) -> Dataset:
    """Every usable image of the file.

    Raises:
        DataError: the file is not in this layout.
    """
    return collect(annotations.parent, entries(annotations, "annotations"), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = find_image(root, entry["filename"])
    return Sample(image, "test", (entry["caption"],), group=image.stem.split("_")[0], questions=qa_pairs(entry))


def qa_pairs(entry: dict) -> tuple[Question, ...]:
    """The questions under `qa_pairs`; the collector reports those without text or answer."""
    return tuple(
        Question(pair.get("question"), pair.get("answer"), question_type(pair.get("question"), pair.get("type")))
        for pair in entry["qa_pairs"]
    )
