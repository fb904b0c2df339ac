from __future__ import annotations

import json
from pathlib import Path

import pytest

from rsmoe_core.data import boxes
from rsmoe_core.errors import DataError

_BOX = [0, 0, 9, 0, 9, 9, 0, 9]


def _entry(**changes: object) -> dict:
    return {"image": "a.jpg", "split": "train", "label": "ship", "polygons": [_BOX] * 3} | changes


def _read(root: Path, *entries: object) -> boxes.Dataset:
    (root / "a.jpg").touch()
    (root / "objects.json").write_text(json.dumps(entries))
    found = boxes.find(root)
    assert found is not None
    return boxes.read(found)


@pytest.mark.parametrize(
    ("label", "count", "scene", "objects"),
    [
        ("ship", 1, "sea", "one ship"),
        ("ship", 3, "sea", "three ships"),
        ("airplane", 0, "airport", "no airplanes"),
        ("airplane", 11, "airport", "some airplanes"),
        ("airplane", 20, "airport", "many airplanes"),
    ],
)
def test_outlines_become_counts_and_sentences(tmp_path: Path, label: str, count: int, scene: str, objects: str) -> None:
    dataset = _read(tmp_path, _entry(label=label, polygons=[_BOX] * count))
    (sample,) = dataset.samples
    assert (sample.scene, sample.objects, sample.split, sample.series) == (scene, objects, "train", "a")
    if count:
        assert all(objects in caption for caption in sample.captions)
    assert dataset.problems == ()


def test_unusable_entries_are_listed(tmp_path: Path) -> None:
    without_split = _entry()
    del without_split["split"]
    dataset = _read(
        tmp_path, _entry(), _entry(label="tree"), without_split, _entry(image="b.jpg"), _entry(polygons=None), "a.jpg"
    )
    assert len(dataset.samples) == 1
    expected = ["the label 'tree'; known: airplane, ship", "has no 'split'", "b.jpg is missing", "", ""]
    for number, (text, problem) in enumerate(zip(expected, dataset.problems, strict=True), start=1):
        assert f"entry {number}: " in problem
        assert text in problem


@pytest.mark.parametrize("text", ["", "5", "null"])
def test_files_of_another_layout_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "objects.json").write_text(text)
    with pytest.raises(DataError, match=r"not an objects\.json"):
        boxes.read(tmp_path / "objects.json")


def test_another_folder_is_not_recognised(tmp_path: Path) -> None:
    assert boxes.find(tmp_path) is None
