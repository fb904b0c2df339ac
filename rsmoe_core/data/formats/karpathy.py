"""RSICD, UCM-Captions and Sydney-Captions: one `dataset*.json` in the layout of Karpathy & Fei-Fei (2015).

    {"images": [{"filename": "airport_1.jpg", "filepath": "train", "split": "train", "sentences": [{"raw": "..."}]}]}

Without `filepath` the images are beside the file or in a folder such as `imgs`. In RSICD the file name up to the last
`_` is the scene class, and images that were cut side by side have neighbouring numbers. A name that is only a number
has no class; any other name is a group of its own.
"""

from __future__ import annotations

from pathlib import Path

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.data.formats.common import collect, entries, find_image
from rsmoe_core.words.scene_classes import readable_name

RECOGNISED_BY = "dataset*.json"

GROUP_LENGTH = 10
"""Images whose numbers are in one block of this length are assumed to have been cut side by side."""


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None if the folder is of another format."""
    return next(iter(sorted(root.glob(RECOGNISED_BY))), None)


def read(annotations: Path) -> Dataset:
    """Every usable image of the file.

    Raises:
        DataError: the file is not in this layout.
    """
    return collect(annotations.parent, entries(annotations, "images"), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = find_image(root, f"{entry.get('filepath', '')}/{entry['filename']}".lstrip("/"))
    scene_class, group = _class_and_group(image.stem)
    return Sample(image, entry["split"], tuple(s["raw"] for s in entry["sentences"]), scene_class, group)


def _class_and_group(stem: str) -> tuple[str | None, str]:
    name, _, number = stem.rpartition("_")
    if not number.isdecimal():
        return None, stem
    block = int(number) // GROUP_LENGTH
    return (readable_name(name) or None), f"{name}:{block}"
