from __future__ import annotations

import dataclasses
import random
import struct
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.fuzzing import mutants
from rsmoe_core.data.base import (
    Boxes,
    Dataset,
    DatasetSummary,
    Question,
    Sample,
    SplitCounts,
    hashed_split,
    read_image,
    read_size,
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


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "RGB"])
def test_every_image_is_read_as_red_green_blue(tmp_path: Path, mode: str) -> None:
    values = np.full((5, 7), 200, np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(values)
    (image if mode == "I;16" else image.convert(mode)).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png")
    assert pixels.shape == (5, 7, 3)
    assert pixels.dtype == np.uint8
    assert read_size(tmp_path / "a.png") == (7, 5)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("not an image")
    for name in ("a.jpg", "missing.jpg"):
        with pytest.raises(DataError, match=f"{name}: cannot be read as an image"):
            read_image(tmp_path / name)
        with pytest.raises(DataError, match=f"{name}: cannot be read as an image"):
            read_size(tmp_path / name)


def png(path: Path, side: int) -> None:
    """An image with sides of `side` pixels whose file contains hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    png(tmp_path / "a.png", 100_000)
    for read in (read_image, read_size):
        with pytest.raises(DataError, match=r"a\.png: cannot be read as an image"):
            read(tmp_path / "a.png")
    png(tmp_path / "b.png", 10_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        assert read_size(tmp_path / "b.png") == (10_000, 10_000)


def test_reading_an_image_starts_no_programs(tmp_path: Path) -> None:
    # Pillow would pass EPS to Ghostscript.
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match="cannot be read as an image"):
        read_image(tmp_path / "a.png")


def test_damaged_images_are_refused_or_read(tmp_path: Path) -> None:
    Image.effect_noise((40, 40), 50).convert("RGB").save(tmp_path / "whole.jpg", exif=bytes(200))
    Image.effect_noise((40, 40), 50).save(tmp_path / "whole.png")
    rng = random.Random(0)
    refused = 0
    for whole in ("whole.jpg", "whole.png"):
        for _ in range(100):
            (tmp_path / "a.png").write_bytes(mutants.mutant((tmp_path / whole).read_bytes(), rng))
            try:
                assert read_image(tmp_path / "a.png").ndim == 3
            except DataError as error:
                refused += "\n" not in str(error)
    assert 20 < refused < 200


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
