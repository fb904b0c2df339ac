"""NWPU-Captions (Cheng et al. 2022): one `dataset_nwpu.json`, and a folder of images for each of 45 classes.

    {"airplane": [{"filename": "airplane_001.jpg", "imgid": 0, "split": "train", "raw": "...", "raw_1": "...", ...,
                   "raw_4": "..."}]}

The reader follows descriptions of the layout and was not tried on the data set itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.data.formats.common import collect, find_image, load
from rsmoe_core.errors import DataError
from rsmoe_core.words.scene_classes import readable_name

RECOGNISED_BY = "dataset_nwpu.json"

_SENTENCES = ("raw", "raw_1", "raw_2", "raw_3", "raw_4")


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None if the folder is of another format."""
    return path if (path := root / RECOGNISED_BY).is_file() else None


def read(annotations: Path) -> Dataset:
    """Every usable image of every class.

    Raises:
        DataError: the file is not in this layout.
    """
    classes = load(annotations)
    if not isinstance(classes, dict) or not all(isinstance(listed, list) for listed in classes.values()):
        raise DataError(f"{annotations}: not in the expected layout (no list for each class); repair it or remove it")
    return collect(annotations.parent, _rows(annotations, classes), _sample)


def _rows(annotations: Path, classes: dict[str, list]) -> Iterator[tuple[str, Any]]:
    for name, listed in classes.items():
        for number, entry in enumerate(listed):
            yield f"{annotations}: {name}, entry {number}", (name, entry)


def _sample(root: Path, row: tuple[str, dict]) -> Sample:
    name, entry = row
    image = find_image(root, f"{name}/{entry['filename']}")
    captions = tuple(entry[key] for key in _SENTENCES if key in entry)
    return Sample(image, entry["split"], captions, readable_name(name), image.stem)
