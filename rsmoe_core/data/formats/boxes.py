"""Pictures in which objects were outlined or boxed: one `objects.json` in the folder.

    [{"image": "train/a.jpg", "split": "train", "label": "airplane", "polygons": [[x0, y0, ..., x3, y3], ...]},
     {"image": "b.jpg", "label": "tree", "points": [[x, y], ...]}]

Polygons and points are in pixels of the picture. The sentences come from the counts, by `rules`, and each picture's one
question asks for its count. Without `split`, the
`hashed_split` of the picture's file name.

Boxes on things do not tell the kind of place. Where somebody looked, a table has it, and sentences name it too:

    image,scene,split
    b.jpg,parking lot,train
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rsmoe_core.data.base import SPLITS, Box, Boxes, Dataset, Question, Sample, hashed_split
from rsmoe_core.data.formats.common import collect, entries, table_rows
from rsmoe_core.data.templates import (
    airport_sentences,
    counted,
    place_sentences_with,
    ship_sentences,
    tree_sentences,
    trees,
)
from rsmoe_core.questions.types import canonical_question
from rsmoe_core.words.scene_classes import spoken

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


def with_scenes(dataset: Dataset, table: Path) -> Dataset:
    """The same pictures, with kinds of place and, where it has that column, splits from a CSV of pictures.

    Pictures that are not in the table stay as they are. A line of no picture of the data set, of an unknown split, or
    of a kind of place that has no sentences, becomes a problem. Raises DataError where the table cannot be read.
    """
    problems = list(dataset.problems)
    samples = {sample.image.relative_to(dataset.root).as_posix(): sample for sample in dataset.samples}
    for place, row in table_rows(table, ("image", "scene")):
        try:
            if (name := row["image"]) not in samples:
                raise ValueError(f"no picture '{name}' in {dataset.root}")
            samples[name] = _placed(samples[name], row)
        except ValueError as error:
            problems.append(f"{place}: {error}")
    return dataclasses.replace(dataset, samples=tuple(samples.values()), problems=tuple(problems))


def _placed(sample: Sample, row: dict[str, str]) -> Sample:
    split = row.get("split") or sample.split
    if split not in SPLITS:
        raise ValueError(f"no split '{split}'; known: {', '.join(SPLITS)}")
    scene = spoken(row["scene"])
    sentences = place_sentences_with(scene, sample.objects or "")
    # The things that stand in the sentences are more than those that were boxed.
    return dataclasses.replace(sample, split=split, scene_class=scene, captions=tuple(sentences), objects=None)


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
        scene_class=rule.scene,
        group=image.stem,
        objects=rule.objects(count),
        questions=(Question(canonical_question("count", entry["label"]), str(count), "count"),),
        boxes=Boxes(entry["label"], tuple(map(_box, outlines))),
        synthetic=True,
    )


def _box(outline: list) -> Box:
    """The box around a polygon `[x0, y0, x1, y1, ...]`, or around the one point `[x, y]`."""
    xs, ys = [float(x) for x in outline[::2]], [float(y) for y in outline[1::2]]
    if not xs or len(xs) != len(ys):
        raise ValueError(f"no polygon or point: {outline}")
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
