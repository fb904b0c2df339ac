"""Pictures in which objects were outlined or marked: one `objects.json` in the folder.

    [{"image": "train/a.jpg", "split": "train", "label": "airplane", "polygons": [[x0, y0, ..., x3, y3], ...]},
     {"image": "b.jpg", "label": "tree", "points": [[x, y], ...]}]

Polygons and points are in pixels of the picture. The sentences come from the counts, by `rules`, and each picture's one
question asks for its count. Without `split`, the
`hashed_split` of the picture's file name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rsmoe_core.data.base import Box, Dataset, Marks, Question, Sample, hashed_split
from rsmoe_core.data.collect import collect, entries
from rsmoe_core.data.rules import airport_sentences, counted, ship_sentences, tree_sentences, trees
from rsmoe_core.inquiry import plain_question

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
    outlines = entry["polygons"] if "polygons" in entry else entry["points"]
    if not isinstance(outlines, list):
        raise ValueError(f"{image.name} has no list of polygons or points")
    count = len(outlines)
    return Sample(
        image,
        split=entry["split"] if "split" in entry else hashed_split(image.name),
        captions=tuple(rule.sentences(count)),
        scene=rule.scene,
        series=image.stem,
        objects=rule.objects(count),
        questions=(Question(plain_question("count", entry["label"]), str(count), "count"),),
        marks=Marks(entry["label"], tuple(map(_box, outlines))),
    )


def _box(outline: list) -> Box:
    """The box around a polygon `[x0, y0, x1, y1, ...]`, or around the one point `[x, y]`."""
    xs, ys = [float(x) for x in outline[::2]], [float(y) for y in outline[1::2]]
    if not xs or len(xs) != len(ys):
        raise ValueError(f"no polygon or point: {outline}")
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
