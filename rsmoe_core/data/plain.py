"""The project's own format: a folder of pictures and one `annotations.jsonl`, a JSON object a line.

    {"image": "algiers_0007.png", "split": "train", "captions": ["..."], "scene": "harbour", "series": "algiers",
     "objects": "three ships"}

`image` is relative to the folder; `scene`, `series` and `objects` may be left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from rsmoe_core.data.base import Dataset, Sample, collect, sentences
from rsmoe_core.errors import DataError

ANNOTATIONS = "annotations.jsonl"


def find(root: Path) -> Path | None:
    """The annotation file in `root`, or None where the folder is of another format."""
    return path if (path := root / ANNOTATIONS).is_file() else None


def read(annotations: Path) -> Dataset:
    """Every usable line; the others are listed in `problems` with their number. DataError where it is not text."""
    try:
        lines = annotations.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise DataError(f"{annotations}: cannot be read as UTF-8 text ({error})") from error
    rows = ((f"{annotations}:{number}", line) for number, line in enumerate(lines, start=1) if line.strip())
    return collect(annotations.parent, rows, _sample)


def write(root: Path, samples: Iterable[Sample]) -> None:
    """Write `annotations.jsonl` into `root`, where the samples' pictures already lie."""
    with (root / ANNOTATIONS).open("w", encoding="utf-8") as lines:
        for sample in samples:
            row = {
                "image": str(sample.image.relative_to(root)),
                "split": sample.split,
                "captions": list(sample.captions),
                "scene": sample.scene,
                "series": sample.series,
                "objects": sample.objects,
            }
            lines.write(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n")


def _sample(root: Path, line: str) -> Sample:
    row = json.loads(line)
    return Sample(
        image=root / row["image"],
        split=row["split"],
        captions=sentences(row["captions"]),
        scene=row.get("scene"),
        series=row.get("series"),
        objects=row.get("objects"),
    )
