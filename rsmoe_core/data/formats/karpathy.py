"""RSICD, UCM-Captions and Sydney-Captions: one `dataset*.json` in the layout of Karpathy & Fei-Fei (2015).

    {"images": [{"filename": "airport_1.jpg", "filepath": "train", "split": "train", "sentences": [{"raw": "..."}]}]}

Without `filepath` the pictures lie beside the file or in a folder such as `imgs`. In RSICD the file name holds the
scene class up to the last `_`, and pictures that were cut side by side have neighbouring numbers. A name that is only a
number has no class; any other name is a series of its own.
"""

from __future__ import annotations

from pathlib import Path

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.data.formats.common import collect, entries, find_picture
from rsmoe_core.words.scene_classes import spoken

RECOGNISED_BY = "dataset*.json"

# Pictures whose numbers lie in one block of this length are held to be of one series.
SERIES_LENGTH = 10


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None where the folder is of another format."""
    return next(iter(sorted(root.glob(RECOGNISED_BY))), None)


def read(annotations: Path) -> Dataset:
    """Every usable picture of the file. Raises DataError where the file is not in this layout."""
    return collect(annotations.parent, entries(annotations, "images"), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = find_picture(root, f"{entry.get('filepath', '')}/{entry['filename']}".lstrip("/"))
    scene, series = _scene_and_series(image.stem)
    return Sample(image, entry["split"], tuple(s["raw"] for s in entry["sentences"]), scene, series)


def _scene_and_series(stem: str) -> tuple[str | None, str]:
    scene, _, number = stem.rpartition("_")
    if not number.isdecimal():
        return None, stem
    block = int(number) // SERIES_LENGTH
    return (spoken(scene) or None), f"{scene}:{block}"
