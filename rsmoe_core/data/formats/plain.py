"""The project's own format: a folder of pictures and one `annotations.jsonl`, a JSON object a line.

    {"image": "images/algiers_0007.png", "split": "train", "captions": ["..."], "scene_class": "harbour",
     "group": "algiers", "objects": "three ships",
     "questions": [{"text": "how many ships are there?", "answer": "three", "type": "count"}],
     "boxes": {"label": "ship", "cxcywh": [[120.5, 80, 24, 9], ...]}, "metres_per_pixel": 10.0, "synthetic": true}

`image` is relative to the folder; all but `image` and `split` may be left out, as long as there is a caption, a
question, a scene or marks. `boxes` are centre x, centre y, width and height of everything of that kind in the picture,
in its pixels; sizes are 0 where only a point was boxed, and an empty list says that there is none. `synthetic` is there
where nobody wrote the sentences. Every other format can be turned into this one: `rsmoe data prepare`.
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
    """The annotation file in `root`, or None where the folder is of another format."""
    return path if (path := root / ANNOTATIONS).is_file() else None


def read(annotations: Path) -> Dataset:
    """Every usable line; the others are listed in `problems` with their number. DataError where it is not text."""
    return collect(annotations.parent, lines(annotations), _sample)


def write(root: Path, samples: Iterable[Sample]) -> None:
    """Write `annotations.jsonl` into `root`, where the samples' pictures already lie."""
    with (root / ANNOTATIONS).open("w", encoding="utf-8") as file:
        for sample in samples:
            file.write(json.dumps(row(root, sample)) + "\n")


def row(root: Path, sample: Sample) -> dict[str, object]:
    """What the format says of a picture in `root`; what is not annotated is left out."""
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
