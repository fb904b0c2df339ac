from __future__ import annotations

import json
from pathlib import Path

import pytest

from rsmoe_core.data.formats import nwpu
from rsmoe_core.errors import DataError

SENTENCES = {"raw": "A road .", "raw_1": "roads .", "raw_2": "two roads .", "raw_3": "a way .", "raw_4": "a road ."}


def _entry(name: str, **changes: object) -> dict:
    return {"filename": f"{name}.jpg", "imgid": 0, "split": "train", **SENTENCES, **changes}


def _write(root: Path, content: object) -> Path:
    path = root / "dataset_nwpu.json"
    path.write_text(json.dumps(content))
    return path


def test_every_class_has_its_folder_and_every_image_five_captions(tmp_path: Path) -> None:
    for name in ("dense_residential/dense_residential_001", "NWPU_images/lake/lake_002"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / f"{name}.jpg").touch()
    classes = {"dense_residential": [_entry("dense_residential_001")], "lake": [_entry("lake_002", split="test")]}
    dataset = nwpu.read(_write(tmp_path, classes))
    first, second = dataset.samples
    assert dataset.problems == ()
    assert first.captions == ("a road .", "roads .", "two roads .", "a way .", "a road .")
    assert (first.scene_class, first.group, first.split) == ("dense residential area", "dense_residential_001", "train")
    assert second.image == tmp_path / "NWPU_images" / "lake" / "lake_002.jpg"
    assert (second.scene_class, second.split) == ("lake", "test")


def test_unusable_entries_are_listed_with_their_class(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "a.jpg").touch()
    listed = [_entry("a", raw_2=" "), _entry("a"), _entry("b"), {"filename": "a.jpg"}, "c"]
    path = _write(tmp_path, {"lake": listed})
    dataset = nwpu.read(path)
    assert [len(sample.captions) for sample in dataset.samples] == [4]
    expected = ["caption 3 is empty", "a.jpg is a duplicate of", "b.jpg is missing", "has no 'split'", ""]
    for number, (text, problem) in enumerate(zip(expected, dataset.problems, strict=True)):
        assert problem.startswith(f"{path}: lake, entry {number}: ")
        assert text in problem


@pytest.mark.parametrize("content", [[], 5, {"lake": {}}])
def test_files_of_another_layout_are_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(DataError, match="not in the expected layout"):
        nwpu.read(_write(tmp_path, content))
