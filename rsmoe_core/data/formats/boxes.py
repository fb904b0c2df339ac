"""Images in which objects were outlined or marked: one `objects.json` in the folder.

    [{"image": "train/a.jpg", "split": "train", "label": "airplane", "polygons": [[x0, y0, ..., x3, y3], ...]},
     {"image": "b.jpg", "label": "tree", "points": [[x, y], ...]}]

Polygons and points are in pixels of the image. The captions are templates filled with the counts
(`rsmoe_core.data.templates`), and the only question of each image asks for its count. Without `split`, `hashed_split`
of the image's file name.

Boxes do not determine the scene class. A table can add it, and captions then name it too:

    image,scene_class,split
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
    scene_class_sentences_with,
    ship_sentences,
    tree_sentences,
    trees,
)
from rsmoe_core.questions.types import canonical_question
from rsmoe_core.words.grammar import counted
from rsmoe_core.words.scene_classes import readable_name

RECOGNISED_BY = "objects.json"


@dataclass(frozen=True)
class _Template:
    """What the number of objects of one label means for an image."""

    scene_class: str | None
    """The scene class, if the label determines it."""
    sentences: Callable[[int], list[str]]
    """Number → captions."""
    objects: Callable[[int], str]
    """Number → what the objects expert should write."""


_TEMPLATES = {
    "airplane": _Template("airport", airport_sentences, lambda count: counted(count, "airplane")),
    "ship": _Template("sea", ship_sentences, lambda count: counted(count, "ship")),
    "tree": _Template(None, tree_sentences, trees),
}


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None if the folder is of another format."""
    return path if (path := root / RECOGNISED_BY).is_file() else None


def read(annotations: Path) -> Dataset:
    """Every usable image with a label that has a template.

    Raises:
        DataError: the file is not in this layout.
    """
    return collect(annotations.parent, entries(annotations), _sample)


def with_scenes(dataset: Dataset, table: Path) -> Dataset:
    """The same images, with scene classes and, if it has that column, splits from a CSV table.

    Images that are not in the table stay as they are. A row with an unknown image, an unknown split or a scene class
    without a template becomes a problem.

    Raises:
        DataError: the table cannot be read.
    """
    problems = list(dataset.problems)
    samples = {sample.image.relative_to(dataset.root).as_posix(): sample for sample in dataset.samples}
    for position, row in table_rows(table, ("image", "scene_class")):
        try:
            if (name := row["image"]) not in samples:
                raise ValueError(f"no image '{name}' in {dataset.root}")
            samples[name] = _with_scene(samples[name], row)
        except ValueError as error:
            problems.append(f"{position}: {error}")
    return dataclasses.replace(dataset, samples=tuple(samples.values()), problems=tuple(problems))


def _with_scene(sample: Sample, row: dict[str, str]) -> Sample:
    split = row.get("split") or sample.split
    if split not in SPLITS:
        raise ValueError(f"no split '{split}'; known: {', '.join(SPLITS)}")
    scene_class = readable_name(row["scene_class"])
    captions = tuple(scene_class_sentences_with(scene_class, sample.objects or ""))
    # The captions name more objects than those that were boxed.
    return dataclasses.replace(sample, split=split, scene_class=scene_class, captions=captions, objects=None)


def _sample(root: Path, entry: dict) -> Sample:
    image = root / entry["image"]
    if entry["label"] not in _TEMPLATES:
        raise ValueError(f"no template for the label '{entry['label']}'; known: {', '.join(_TEMPLATES)}")
    template = _TEMPLATES[entry["label"]]
    outlines = entry["polygons"] if "polygons" in entry else entry["points"]
    if not isinstance(outlines, list):
        raise ValueError(f"{image.name} has no list of polygons or points")
    count = len(outlines)
    return Sample(
        image,
        split=entry["split"] if "split" in entry else hashed_split(image.name),
        captions=tuple(template.sentences(count)),
        scene_class=template.scene_class,
        group=image.stem,
        objects=template.objects(count),
        questions=(Question(canonical_question("count", entry["label"]), str(count), "count"),),
        boxes=Boxes(entry["label"], tuple(map(_box, outlines))),
        synthetic=True,
    )


def _box(outline: list) -> Box:
    """The box around a polygon `[x0, y0, x1, y1, ...]`, or around a single point `[x, y]`."""
    xs, ys = [float(x) for x in outline[::2]], [float(y) for y in outline[1::2]]
    if not xs or len(xs) != len(ys):
        raise ValueError(f"not a polygon or point: {outline}")
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
