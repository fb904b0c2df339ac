from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsmoe_core.data.base import Dataset, Sample, collect, read_image, sentences
from rsmoe_core.errors import DataError


def test_a_split_keeps_the_order_of_the_file() -> None:
    samples = tuple(Sample(Path(f"{n}.png"), "val" if n % 2 else "train", ("a road .",)) for n in range(5))
    dataset = Dataset(Path("set"), samples, ())
    assert [s.image.stem for s in dataset.split("train")] == ["0", "2", "4"]
    with pytest.raises(DataError, match="no picture in split 'test'; it has: train, val"):
        dataset.split("test")


def test_what_cannot_be_used_is_named_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()

    def to_sample(root: Path, row: Any) -> Sample:
        return Sample(root / row["image"], row["split"], sentences(row["captions"]))

    good = {"image": "a.png", "split": "train", "captions": ["A  road ."]}
    rows = [
        good,
        {"image": "a.png", "captions": ["a road ."]},
        good | {"split": None},
        good | {"captions": [" "]},
        good | {"captions": "a road ."},
        good | {"captions": [3]},
        good | {"image": "b.png"},
        None,
    ]
    dataset = collect(tmp_path, ((f"row {number}", row) for number, row in enumerate(rows)), to_sample)
    assert [sample.captions for sample in dataset.samples] == [("a road .",)]
    assert [problem.split(":")[0] for problem in dataset.problems] == [f"row {number}" for number in range(1, 8)]
    expected = ["has no 'split'", "split 'None'", "no sentence", "list of sentences", "", "b.png is missing", ""]
    assert all(text in problem for text, problem in zip(expected, dataset.problems, strict=True))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "RGB"])
def test_every_picture_is_read_as_red_green_blue(tmp_path: Path, mode: str) -> None:
    values = np.full((5, 7), 200, np.uint16 if mode == "I;16" else np.uint8)
    picture = Image.fromarray(values)
    (picture if mode == "I;16" else picture.convert(mode)).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png")
    assert pixels.shape == (5, 7, 3)
    assert pixels.dtype == np.uint8


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("not a picture")
    for name in ("a.jpg", "missing.jpg"):
        with pytest.raises(DataError, match=f"{name}: cannot be read as a picture"):
            read_image(tmp_path / name)
