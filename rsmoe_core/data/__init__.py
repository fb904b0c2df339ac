"""Data sets: `read_dataset(folder)` gives samples, whatever the folder's format."""

from __future__ import annotations

from pathlib import Path

from rsmoe_core.data import boxes, karpathy, plain
from rsmoe_core.data.base import Dataset, Sample, read_image
from rsmoe_core.errors import DataError

FORMATS = {"plain": plain, "karpathy": karpathy, "boxes": boxes}
"""Each format is a module with `find(root) -> annotation file | None` and `read(annotation file) -> Dataset`."""

__all__ = ["FORMATS", "Dataset", "Sample", "read_dataset", "read_image"]


def read_dataset(root: Path) -> Dataset:
    """Read the data set in `root` by the first format that recognises the folder.

    Raises DataError where the folder is missing, of no known format, or holds no usable picture.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder that holds the annotations")
    for module in FORMATS.values():
        annotations = module.find(root)
        if annotations is not None:
            dataset = module.read(annotations)
            if not dataset.samples:
                first = dataset.problems[0] if dataset.problems else "the file is empty"
                raise DataError(f"{annotations}: no usable picture ({first})")
            return dataset
    raise DataError(f"{root}: holds no dataset_*.json (Karpathy), annotations.jsonl (plain) or objects.json (boxes)")
