"""RSICap (Hu et al. 2023): one `captions.json`, a long caption for each of 2,585 images cut from DOTA.

    {"annotations": [{"image_id": "0", "filename": "P0378_0001.png", "text_input": "...", "text_output": "..."}]}

`text_input` is one of a few ways to ask for the caption and is not read. Images that were cut from one DOTA image
(`P0378`) are one group. There is no official split: `hashed_split` of the group. The reader follows a description of
the layout and was not tried on the data set itself.
"""

from __future__ import annotations

from pathlib import Path

from rsmoe_core.data.base import Dataset, Sample, hashed_split
from rsmoe_core.data.formats.common import collect, entries, find_image

RECOGNISED_BY = "captions.json"


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None if the folder is of another format."""
    return path if (path := root / RECOGNISED_BY).is_file() else None


def read(annotations: Path) -> Dataset:
    """Every usable image of the file.

    Raises:
        DataError: the file is not in this layout.
    """
    return collect(annotations.parent, entries(annotations, "annotations"), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = find_image(root, entry["filename"])
    group = image.stem.split("_")[0]
    return Sample(image, hashed_split(group), (entry["text_output"],), group=group)
