"""Data sets with anything in them: what is wrong is reported, what is right is kept, nothing else happens."""

from __future__ import annotations

import json
import os
import random
import struct
import warnings
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.fuzzing import mutants, seeds
from rsmoe_core.data.base import read_image, read_size
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.data.summary import summarise
from rsmoe_core.data.targets import derive
from rsmoe_core.errors import DataError, RsmoeError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sets")


@pytest.mark.parametrize("name", seeds.FORMATS)
def test_the_seeds_are_whole(tmp_path: Path, name: str) -> None:
    seeds.dataset(tmp_path, name)
    assert read_dataset(tmp_path, name).problems == ()


@pytest.mark.parametrize("name", seeds.DATASETS)
@settings(max_examples=40, deadline=None)
@given(number=st.integers(0, 2**32))
@example(number=39356)
def test_any_value_in_any_place_is_reported_at_most(folder: Path, name: str, number: int) -> None:
    root = folder / name
    chance = random.Random(number)
    seeds.dataset(root, name, lambda value: mutants.value_mutant(value, chance))
    try:
        dataset = read_dataset(root, name)
    except RsmoeError as error:
        refused = str(error)
    else:
        refused = ""
    assert "\n" not in refused
    assert len(refused) < 1000
    if refused:
        return
    assert all("\n" not in line and len(line) < 1000 for line in summarise(dataset).problems)
    for sample in dataset.samples:
        derive(sample)
        assert sample.image.resolve().is_relative_to(root.resolve())


@pytest.mark.parametrize("image", ["../a.png", "/etc/passwd", "images/../../a.png", "a\0.png", "", "x" * 5000])
def test_a_picture_must_lie_in_the_folder(tmp_path: Path, image: str) -> None:
    root = tmp_path / "set"
    seeds.pictures(root)
    seeds.pictures(tmp_path)
    rows = [{"image": name, "split": "train", "captions": ["a road ."]} for name in (image, "a.png")]
    (root / "annotations.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dataset = read_dataset(root)
    assert [sample.image.name for sample in dataset.samples] == ["a.png"]
    assert len(dataset.problems) == 1
    assert dataset.problems[0].startswith(f"{root / 'annotations.jsonl'}:1: ")


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00", b"[" * 100_000, b"{" * 9, b"null", b"1e999", b'{"images": 5}']
)
@pytest.mark.parametrize("name", ["plain", "karpathy", "rsvqa", "boxes", "nwpu"])
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    seeds.dataset(tmp_path, name)
    (tmp_path / next(iter(seeds.DATASETS[name]))).write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_dataset(tmp_path, name)
    assert "\n" not in str(refused.value)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    for name in ("annotations.jsonl", "annotations.json", "objects.json", "a.txt"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="holds no annotations"):
        read_dataset(tmp_path)


def png(path: Path, side: int) -> None:
    """A picture of `side` pixels a side, of which the file holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    png(tmp_path / "a.png", 100_000)
    for read in (read_image, read_size):
        with pytest.raises(DataError, match=r"a\.png: cannot be read as a picture"):
            read(tmp_path / "a.png")
    png(tmp_path / "b.png", 10_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        assert read_size(tmp_path / "b.png") == (10_000, 10_000)


def test_pictures_start_no_programs(tmp_path: Path) -> None:
    """Pillow hands EPS to Ghostscript."""
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match="cannot be read as a picture"):
        read_image(tmp_path / "a.png")


def test_damaged_pictures_are_refused_or_read(tmp_path: Path) -> None:
    Image.effect_noise((40, 40), 50).convert("RGB").save(tmp_path / "whole.jpg", exif=bytes(200))
    Image.effect_noise((40, 40), 50).save(tmp_path / "whole.png")
    chance = random.Random(0)
    refused = 0
    for whole in ("whole.jpg", "whole.png"):
        for _ in range(100):
            (tmp_path / "a.png").write_bytes(mutants.mutant((tmp_path / whole).read_bytes(), chance))
            try:
                assert read_image(tmp_path / "a.png").ndim == 3
            except DataError as error:
                refused += "\n" not in str(error)
    assert 20 < refused < 200
