"""Pictures in which objects were outlined or marked: one `objects.json` in the folder.

    [{"image": "train/a.jpg", "split": "train", "label": "airplane", "polygons": [[x0, y0, ..., x3, y3], ...]},
     {"image": "b.jpg", "label": "tree", "points": [[x, y], ...]}]

Polygons and points are in pixels of the picture. The sentences come from the counts, by `rules`. Without `split`, the
`hashed_split` of the picture's file name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rsmoe_core.data.base import Dataset, Sample, hashed_split
from rsmoe_core.data.collect import collect, entries
from rsmoe_core.data.rules import airport_sentences, counted, ship_sentences, tree_sentences, trees

RECOGNISED_BY = "objects.json"


@dataclass(frozen=True)
class _Rule:
    """What a count of things with one label says about a picture."""

    scene: str | None
    """Kind of place, where the label tells it."""
    sentences: Callable[[int], list[str]]
    objects: Callable[[int], str]
    """The objects draft."""


_RULES = {
    "airplane": _Rule("airport", airport_sentences, lambda count: counted(count, "airplane")),
    "ship": _Rule("sea", ship_sentences, lambda count: counted(count, "ship")),
    "tree": _Rule(None, tree_sentences, trees),
}


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None where the folder is of another format."""
    return path if (path := root / RECOGNISED_BY).is_file() else None


def read(annotations: Path) -> Dataset:
    """Every usable picture with a label that has a rule. Raises DataError where the file is not in this layout."""
    return collect(annotations.parent, entries(annotations), _sample)


def _sample(root: Path, entry: dict) -> Sample:
    image = root / entry["image"]
    if entry["label"] not in _RULES:
        raise ValueError(f"no rule makes sentences for the label '{entry['label']}'; known: {', '.join(_RULES)}")
    rule = _RULES[entry["label"]]
    marks = entry["polygons"] if "polygons" in entry else entry["points"]
    if not isinstance(marks, list):
        raise ValueError(f"{image.name} has no list of polygons or points")
    split = entry["split"] if "split" in entry else hashed_split(image.name)
    return Sample(image, split, tuple(rule.sentences(len(marks))), rule.scene, image.stem, rule.objects(len(marks)))
