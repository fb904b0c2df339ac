from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsmoe_core.data.base import Dataset, Question, Sample, hashed_split, read_image, read_size
from rsmoe_core.errors import DataError


def test_a_split_keeps_the_order_of_the_file() -> None:
    samples = tuple(Sample(Path(f"{n}.png"), "val" if n % 2 else "train", ("a road .",)) for n in range(5))
    dataset = Dataset(Path("set"), samples, ())
    assert [s.image.stem for s in dataset.split("train")] == ["0", "2", "4"]
    with pytest.raises(DataError, match="no picture in split 'test'; it has: train, val"):
        dataset.split("test")


def test_only_pictures_with_sentences_are_captioned() -> None:
    asked = Sample(Path("a.png"), "train", (), questions=(Question("is it a road?", "yes", "presence"),))
    described = Sample(Path("b.png"), "train", ("a road .",))
    dataset = Dataset(Path("set"), (asked, described, dataclasses.replace(asked, split="val")), ())
    assert dataset.split("train") == (asked, described)
    assert dataset.captioned("train") == (described,)
    with pytest.raises(DataError, match="split 'val' has no sentences; choose"):
        dataset.captioned("val")
    with pytest.raises(DataError, match="no picture in split 'test'"):
        dataset.captioned("test")


def test_pictures_without_an_official_split_get_the_same_one_everywhere() -> None:
    assert [hashed_split(f"{n}.jpg") for n in range(8)] == [
        "train",
        "val",
        "train",
        "test",
        "train",
        "train",
        "train",
        "train",
    ]
    shares = Counter(hashed_split(f"picture_{n}.png") for n in range(10_000))
    assert {split: round(count / 10_000, 1) for split, count in shares.items()} == {
        "train": 0.8,
        "val": 0.1,
        "test": 0.1,
    }


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "RGB"])
def test_every_picture_is_read_as_red_green_blue(tmp_path: Path, mode: str) -> None:
    values = np.full((5, 7), 200, np.uint16 if mode == "I;16" else np.uint8)
    picture = Image.fromarray(values)
    (picture if mode == "I;16" else picture.convert(mode)).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png")
    assert pixels.shape == (5, 7, 3)
    assert pixels.dtype == np.uint8
    assert read_size(tmp_path / "a.png") == (7, 5)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("not a picture")
    for name in ("a.jpg", "missing.jpg"):
        with pytest.raises(DataError, match=f"{name}: cannot be read as a picture"):
            read_image(tmp_path / name)
        with pytest.raises(DataError, match=f"{name}: cannot be read as a picture"):
            read_size(tmp_path / name)
