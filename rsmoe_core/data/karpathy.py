"""RSICD, UCM-Captions and Sydney-Captions: one `dataset_*.json` in the layout of Karpathy & Fei-Fei (2015).

    {"images": [{"filename": "airport_1.jpg", "filepath": "train", "split": "train", "sentences": [{"raw": "..."}]}]}

In RSICD the file name holds the scene class up to the last `_`, and pictures that were cut side by side have
neighbouring numbers. A name that is only a number has no class; any other name is a series of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

from rsmoe_core.data.base import Dataset, Sample, collect, sentences
from rsmoe_core.errors import DataError

# Pictures whose numbers lie in one block of this length are held to be of one series.
SERIES_LENGTH = 10

# Class names as people would say them; others are used as they are.
_SPOKEN = {
    "bareland": "bare land",
    "baseballfield": "baseball field",
    "center": "center building",
    "commercial": "commercial area",
    "denseresidential": "dense residential area",
    "industrial": "industrial area",
    "mediumresidential": "medium residential area",
    "parking": "parking lot",
    "railwaystation": "railway station",
    "sparseresidential": "sparse residential area",
    "storagetanks": "storage tanks",
}


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None where the folder is of another format."""
    return next(iter(sorted(root.glob("dataset*.json"))), None)


def read(annotations: Path) -> Dataset:
    """Every usable picture of the file. Raises DataError where the file is not in this layout."""
    try:
        numbered = list(enumerate(json.loads(annotations.read_text(encoding="utf-8"))["images"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{annotations}: not a Karpathy annotation file ({error!r})") from error
    return collect(annotations.parent, ((f"{annotations}: image {n}", entry) for n, entry in numbered), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = root / entry.get("filepath", "") / entry["filename"]
    scene, series = _scene_and_series(image.stem)
    return Sample(image, entry["split"], sentences(s["raw"] for s in entry["sentences"]), scene, series)


def _scene_and_series(stem: str) -> tuple[str | None, str]:
    scene, _, number = stem.rpartition("_")
    if not number.isdecimal():
        return None, stem
    block = int(number) // SERIES_LENGTH
    return (_SPOKEN.get(scene, scene) or None), f"{scene}:{block}"
