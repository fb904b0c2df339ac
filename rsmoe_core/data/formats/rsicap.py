"""RSICap (Hu et al. 2023): one `captions.json`, a long caption for each of 2,585 pictures cut from DOTA.

    {"annotations": [{"image_id": "0", "filename": "P0378_0001.png", "text_input": "...", "text_output": "..."}]}

`text_input` is one of a few ways to ask for the caption and is not read. Pictures that were cut from one DOTA image
(`P0378`) are one series. There is no official split: `hashed_split` of the series. Generation from a description of the
layout; it was not tried on the data itself.
"""

from __future__ import annotations

from pathlib import Path

from rsmoe_core.data.base import Dataset, Sample, hashed_split
from rsmoe_core.data.formats.common import collect, entries, find_picture

RECOGNISED_BY = "captions.json"


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None where the folder is of another format."""
    return path if (path := root / RECOGNISED_BY).is_file() else None


def read(annotations: Path) -> Dataset:
    """Every usable picture of the file. Raises DataError where the file is not in this layout."""
    return collect(annotations.parent, entries(annotations, "annotations"), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = find_picture(root, entry["filename"])
    series = image.stem.split("_")[0]
    return Sample(image, hashed_split(series), (entry["text_output"],), group=series)
