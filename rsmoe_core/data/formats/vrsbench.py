"""VRSBench (Li et al. 2024): a JSON file for each image, with a long caption and typed questions.

    Annotations_train/05863_0000.json   {"image": "05863_0000.png", "caption": "...",
                                         "qa_pairs": [{"ques_id": 0, "question": "...", "type": "object quantity",
                                                       "answer": "2"}]}
    Images_train/05863_0000.png

and the same with `val`, on which the benchmark is scored; it stays `val` here. Images that were cut from one larger
image (`05863`) are one group. The reader follows a description of the layout and was not tried on the data set itself.
"""

from __future__ import annotations

import json
from pathlib import Path

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.data.formats.common import collect
from rsmoe_core.data.formats.rsieval import qa_pairs

RECOGNISED_BY = "Annotations_train/ or Annotations_val/"

_SPLITS = ("train", "val")


def find(root: Path) -> Path | None:
    """The first folder of annotations in `root`, or None if the folder is of another format."""
    return next((path for split in _SPLITS if (path := root / f"Annotations_{split}").is_dir()), None)


def read(annotations: Path) -> Dataset:
    """Every usable image of both splits; a broken file is a problem like any other."""
    root = annotations.parent
    paths = [path for split in _SPLITS for path in sorted((root / f"Annotations_{split}").glob("*.json"))]
    return collect(root, ((str(path), path) for path in paths), _sample)


def _sample(root: Path, path: Path) -> Sample:
    entry = json.loads(path.read_text(encoding="utf-8-sig"))
    split = path.parent.name.removeprefix("Annotations_")
    image = root / f"Images_{split}" / entry["image"]
    return Sample(image, split, (entry["caption"],), group=image.stem.split("_")[0], questions=qa_pairs(entry))
