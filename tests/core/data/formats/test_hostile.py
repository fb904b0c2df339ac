"""Data sets with arbitrary content: errors are reported, the rest is read, and nothing else happens."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.fuzzing import mutants, seeds
from rsmoe_core.data.base import summarise
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.errors import DataError, RsmoeError
from rsmoe_core.roles import expert_targets_of
from rsmoe_core.words.expert_targets import AnnotationFacts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sets")


@pytest.mark.parametrize("name", seeds.FORMATS)
def test_the_seeds_are_complete(tmp_path: Path, name: str) -> None:
    seeds.dataset(tmp_path, name)
    assert read_dataset(tmp_path, name).problems == ()


@pytest.mark.parametrize("name", seeds.DATASETS)
@settings(max_examples=40, deadline=None)
@given(number=st.integers(0, 2**32))
@example(number=39356)
def test_arbitrary_values_only_cause_reports(folder: Path, name: str, number: int) -> None:
    root = folder / name
    rng = random.Random(number)
    seeds.dataset(root, name, lambda value: mutants.value_mutant(value, rng))
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
        expert_targets_of(AnnotationFacts.of(sample.captions, sample.scene_class, sample.objects))
        assert sample.image.resolve().is_relative_to(root.resolve())


@pytest.mark.parametrize("image", ["../a.png", "/etc/passwd", "images/../../a.png", "a\0.png", "", "x" * 5000])
def test_an_image_has_to_be_in_the_folder(tmp_path: Path, image: str) -> None:
    root = tmp_path / "set"
    seeds.images(root)
    seeds.images(tmp_path)
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
def test_another_kind_of_file_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    seeds.dataset(tmp_path, name)
    (tmp_path / next(iter(seeds.DATASETS[name]))).write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_dataset(tmp_path, name)
    assert "\n" not in str(refused.value)


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    for name in ("annotations.jsonl", "annotations.json", "objects.json", "a.txt"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="holds no annotations"):
        read_dataset(tmp_path)
