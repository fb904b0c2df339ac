"""Pictures in which objects were outlined: one `objects.json` in the folder.

    [{"image": "train/a.jpg", "split": "train", "label": "airplane", "polygons": [[x0, y0, ..., x3, y3], ...]}]

Polygons are in pixels of the picture. The sentences come from the counts, by `rules`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rsmoe_core.data.base import Dataset, Sample, collect
from rsmoe_core.data.rules import airport_sentences, counted, ship_sentences
from rsmoe_core.errors import DataError

# label → kind of place, name of the thing, and the rule for its sentences
_KINDS: dict[str, tuple[str, str, Callable[[int], list[str]]]] = {
    "airplane": ("airport", "airplane", airport_sentences),
    "ship": ("sea", "ship", ship_sentences),
}


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None where the folder is of another format."""
    return path if (path := root / "objects.json").is_file() else None


def read(annotations: Path) -> Dataset:
    """Every usable picture with a label that has a rule. Raises DataError where the file is not in this layout."""
    try:
        numbered = list(enumerate(json.loads(annotations.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{annotations}: not an objects.json ({error!r})") from error
    return collect(annotations.parent, ((f"{annotations}: entry {n}", entry) for n, entry in numbered), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = root / entry["image"]
    if entry["label"] not in _KINDS:
        raise ValueError(f"no rule makes sentences for the label '{entry['label']}'; known: {', '.join(_KINDS)}")
    scene, name, describe = _KINDS[entry["label"]]
    count = len(entry["polygons"])
    return Sample(image, entry["split"], tuple(describe(count)), scene, image.stem, objects=counted(count, name))
