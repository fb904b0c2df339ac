from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from rsmoe_core.data.base import (
    Boxes,
    Dataset,
    DatasetSummary,
    Question,
    Sample,
    SplitCounts,
    hashed_split,
    summarise,
)
from rsmoe_core.errors import DataError


def test_a_split_keeps_the_order_of_the_file() -> None:
    samples = tuple(Sample(Path(f"{n}.png"), "val" if n % 2 else "train", ("a road .",)) for n in range(5))
    dataset = Dataset(Path("set"), samples, ())
    assert [s.image.stem for s in dataset.split("train")] == ["0", "2", "4"]
    with pytest.raises(DataError, match="no image in split 'test'; it has: train, val"):
        dataset.split("test")


def test_samples_chosen_by_their_annotations() -> None:
    asked = Sample(Path("a.png"), "train", (), questions=(Question("is it a road?", "yes", "presence"),))
    described = Sample(Path("b.png"), "train", ("a road .",))
    dataset = Dataset(Path("set"), (asked, described, dataclasses.replace(asked, split="val")), ())
    assert dataset.split("train") == (asked, described)
    assert dataset.captioned("train") == (described,)
    assert dataset.with_text("train") == (asked, described)
    with pytest.raises(DataError, match="split 'val' has no captions; choose"):
        dataset.captioned("val")
    with pytest.raises(DataError, match="no image in split 'test'"):
        dataset.captioned("test")
    with pytest.raises(DataError, match="split 'train' has no boxes"):
        dataset.boxed("train")
    boxed = dataclasses.replace(described, boxes=Boxes("ship", ()))
    assert Dataset(Path("set"), (asked, boxed), ()).boxed("train") == (boxed,)


def test_a_hashed_split_depends_on_the_name_alone() -> None:
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


@pytest.mark.parametrize(
    ("matrix", "is_right"),
    [
        ((10, 0, 0, -10), True),
        ((10, 2, 2, -10), True),
        ((10, 0, 0, 10), False),
        ((-10, 0, 0, -10), False),
        ((0, 10, 10, 0), False),
        ((0, -10, -10, 0), False),
    ],
    ids=["north up", "tilted", "south up", "mirrored", "transposed", "turned"],
)
def test_images_that_are_not_stored_with_north_up_are_one_problem(
    tmp_path: Path, matrix: tuple[float, ...], is_right: bool
) -> None:
    a, b, d, e = matrix
    samples = []
    for name in ("a.tif", "b.tif"):
        with rasterio.open(
            *(tmp_path / name, "w", "GTiff"),
            **{"width": 8, "height": 8, "count": 3, "dtype": "uint8", "crs": "EPSG:32631"},
            transform=Affine(a, b, 500_000, d, e, 4_000_000),
        ) as dataset:
            dataset.write(np.full((3, 8, 8), 90, np.uint8))
        samples.append(Sample(tmp_path / name, "train", ("a road .",)))
    problems = summarise(Dataset(tmp_path, tuple(samples), ())).problems
    assert len(problems) == (0 if is_right else 1)
    assert all(f"north up: 2, such as {tmp_path / 'a.tif'}; " in problem for problem in problems)


def test_summary_of_an_empty_data_set() -> None:
    assert summarise(Dataset(Path("."), (), ())) == DatasetSummary({}, {}, {}, (0, 0), ())
