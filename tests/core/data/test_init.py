from __future__ import annotations

import json
from pathlib import Path

import pytest

from rsmoe_core.data import read_dataset
from rsmoe_core.errors import DataError


def test_the_format_is_known_by_the_annotation_file(karpathy_folder: Path) -> None:
    dataset = read_dataset(karpathy_folder)
    assert dataset.root == karpathy_folder
    assert len(dataset.samples) == 40
    assert dataset.problems == ()


@pytest.mark.parametrize("name", ["annotations.jsonl", "dataset_a.json", "objects.json"])
def test_a_file_without_usable_pictures_is_refused_with_its_first_problem(tmp_path: Path, name: str) -> None:
    row = {
        "annotations.jsonl": {"image": "a.png", "split": "train", "captions": ["a road ."]},
        "dataset_a.json": {"images": [{"filename": "a.png", "split": "train", "sentences": [{"raw": "a road ."}]}]},
        "objects.json": [{"image": "a.png", "split": "train", "label": "ship", "polygons": []}],
    }[name]
    (tmp_path / name).write_text(json.dumps(row))
    with pytest.raises(DataError, match=r"no usable picture \(.*a\.png is missing"):
        read_dataset(tmp_path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "annotations.jsonl").touch()
    with pytest.raises(DataError, match="the file is empty"):
        read_dataset(tmp_path)


def test_a_missing_folder_and_one_of_no_known_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"annotations\.jsonl"):
        read_dataset(tmp_path)
