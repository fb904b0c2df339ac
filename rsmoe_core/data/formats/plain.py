"""The project's own format: a folder of images and one `annotations.jsonl`, a JSON object per line.

    {"image": "images/algiers_0007.png", "split": "train", "captions": ["..."], "scene_class": "harbour",
     "group": "algiers", "objects": "three ships",
     "questions": [{"text": "how many ships are there?", "answer": "three", "type": "count"}],
     "boxes": {"label": "ship", "cxcywh": [[120.5, 80, 24, 9], ...]}, "metres_per_pixel": 10.0, "synthetic": true}

The keys are the fields of `rsmoe_core.data.base.Sample`. `image` is relative to the folder. All keys but `image` and
`split` may be left out, as long as there is a caption, a question, a scene class or boxes. `cxcywh` has the centre x,
centre y, width and height of every object with that label, in pixels of the image; the sizes are 0 where only a point
was marked, and an empty list means that there are none. `rsmoe data prepare` turns every other format into this one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from rsmoe_core.data.base import Boxes, Dataset, Question, Sample
from rsmoe_core.data.formats.common import collect, lines

RECOGNISED_BY = ANNOTATIONS = "annotations.jsonl"


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None if the folder is of another format."""
    return path if (path := root / ANNOTATIONS).is_file() else None


def read(annotations: Path) -> Dataset:
    """Every usable line; the others are listed in `problems` with their number.

    Raises:
        DataError: the file is not UTF-8 text.
    """
    return collect(annotations.parent, lines(annotations), _sample)


def write(root: Path, samples: Iterable[Sample]) -> None:
    """Write `annotations.jsonl` into `root`, which already holds the samples' images."""
    with (root / ANNOTATIONS).open("w", encoding="utf-8") as file:
        for sample in samples:
            file.write(json.dumps(row(root, sample)) + "\n")


def row(root: Path, sample: Sample) -> dict[str, object]:
    """The JSON object of an image in `root`; fields without a value are left out."""
    content = dataclasses.asdict(sample) | {"image": sample.image.relative_to(root).as_posix()}
    return {name: value for name, value in content.items() if value not in (None, (), False)}


def _sample(root: Path, line: str) -> Sample:
    content = json.loads(line)
    return Sample(
        image=root / content["image"],
        split=content["split"],
        captions=content.get("captions", ()),
        scene_class=content.get("scene_class"),
        group=content.get("group"),
        objects=content.get("objects"),
        questions=tuple(Question(q["text"], q["answer"], q["type"]) for q in content.get("questions", ())),
        boxes=_boxes(content["boxes"]) if "boxes" in content else None,
        metres_per_pixel=content.get("metres_per_pixel"),
        synthetic=content.get("synthetic", False),
    )


def _boxes(content: dict) -> Boxes:
    boxes = []
    for box in content["cxcywh"]:
        x, y, width, height = map(float, box)
        boxes.append((x, y, width, height))
    return Boxes(content["label"], tuple(boxes))
