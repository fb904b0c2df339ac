from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from rsmoe_core.data.base import Dataset, Question, Sample
from rsmoe_core.data.summary import DatasetSummary, SplitCounts, summarise


def test_everything_is_counted_and_unreadable_images_are_problems(tmp_path: Path) -> None:
    for name, size in (("a.png", (30, 20)), ("b.png", (40, 50))):
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "c.png").write_text("not an image")
    asked = (Question("is it a road?", "yes", "presence"), Question("how many?", "two", "count"))
    samples = (
        Sample(tmp_path / "a.png", "val", ("a road .", "a road ."), "road"),
        Sample(tmp_path / "b.png", "train", (), "road", questions=asked),
        Sample(tmp_path / "c.png", "val", ("a pond .",), "pond", questions=asked[:1]),
    )
    summary = summarise(Dataset(tmp_path, samples, ("entry 5: is missing",)))
    assert summary.splits == {"train": SplitCounts(1, 0, 2), "val": SplitCounts(2, 3, 1)}
    assert list(summary.splits) == ["train", "val"]
    assert (summary.questions, summary.scene_classes) == ({"presence": 2, "count": 1}, {"road": 2, "pond": 1})
    assert summary.sides == (20, 50)
    assert summary.problems[0] == "entry 5: is missing"
    assert f"{tmp_path / 'c.png'}: cannot be read as an image" in summary.problems[1]


def test_summary_of_an_empty_data_set() -> None:
    assert summarise(Dataset(Path("."), (), ())) == DatasetSummary({}, {}, {}, (0, 0), ())
