from __future__ import annotations

import json
from pathlib import Path

import pytest

from rsmoe_core.data.base import hashed_split
from rsmoe_core.data.formats import boxes
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
    ("label", "count", "scene_class", "objects"),
    [
        ("ship", 1, "sea", "one ship"),
        ("ship", 3, "sea", "three ships"),
        ("airplane", 0, "airport", "no airplanes"),
        ("airplane", 11, "airport", "some airplanes"),
        ("airplane", 20, "airport", "many airplanes"),
        ("tree", 39, None, "some trees"),
    ],
)
def test_outlines_become_counts_and_captions(
    tmp_path: Path, label: str, count: int, scene_class: str | None, objects: str
) -> None:
    dataset = _read(tmp_path, _entry(label=label, polygons=[_BOX] * count))
    (sample,) = dataset.samples
    assert (sample.scene_class, sample.objects, sample.split, sample.group) == (scene_class, objects, "train", "a")
    if count:
        assert all(objects in caption for caption in sample.captions)
    assert dataset.problems == ()


def test_points_count_like_outlines_and_the_name_determines_the_split(tmp_path: Path) -> None:
    (sample,) = _read(tmp_path, {"image": "a.jpg", "label": "tree", "points": [[3, 4]] * 58}).samples
    assert sample.objects == "many trees"
    assert sample.split == hashed_split("a.jpg")


def test_unusable_entries_are_listed(tmp_path: Path) -> None:
    entries = {
        "the label 'cow'; known: airplane, ship, tree": _entry(label="cow"),
        "has no 'points'": {"image": "a.jpg", "label": "tree"},
        "b.jpg is missing": _entry(image="b.jpg"),
        "no list of polygons": _entry(polygons=None),
        "indices": "a.jpg",
        "is a duplicate of": _entry(),
    }
    dataset = _read(tmp_path, _entry(), *entries.values())
    assert len(dataset.samples) == 1
    for number, (text, problem) in enumerate(zip(entries, dataset.problems, strict=True), start=1):
        assert f"objects.json: entry {number}: " in problem
        assert text in problem


def _with_scenes(root: Path, table: str) -> boxes.Dataset:
    (root / "b.jpg").touch()
    trees = {"label": "tree", "points": [[3, 4]] * 58}
    dataset = _read(root, {"image": "a.jpg"} | trees, {"image": "b.jpg"} | trees)
    (root / "scenes.csv").write_text(table)
    return boxes.with_scenes(dataset, root / "scenes.csv")


def test_a_table_gives_images_a_scene_class_and_a_split(tmp_path: Path) -> None:
    named, other = _with_scenes(tmp_path, "scene_class,image,split\n\nparking_lot,a.jpg,test\n").samples
    assert (named.scene_class, named.split, named.objects) == ("parking lot", "test", None)
    assert all("parking lot" in caption for caption in named.captions)
    assert "a parking lot with many trees ." in named.captions
    assert named.boxes is not None
    assert (other.scene_class, other.split) == (None, hashed_split("b.jpg"))


def test_a_table_without_splits_does_not_change_them(tmp_path: Path) -> None:
    named, _ = _with_scenes(tmp_path, "image,scene_class\na.jpg,park\n").samples
    assert (named.scene_class, named.split) == ("park", hashed_split("a.jpg"))


def test_unusable_rows_of_a_table_are_listed(tmp_path: Path) -> None:
    dataset = _with_scenes(
        tmp_path, "image,scene_class,split\nc.jpg,park,test\na.jpg,moon,test\na.jpg,park,exam\na.jpg\nb.jpg,park,test\n"
    )
    assert [sample.scene_class for sample in dataset.samples] == [None, "park"]
    texts = ("no image 'c.jpg'", "the scene class 'moon'", "no split 'exam'", "the scene class ''")
    for number, (text, problem) in enumerate(zip(texts, dataset.problems, strict=True), start=2):
        assert f"scenes.csv:{number}: " in problem
        assert text in problem


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"scenes.csv: no column 'scene_class'; its first line has to name image, scene_class"
    ):
        _with_scenes(tmp_path, "image,scene\na.jpg,park\n")


def test_the_scene_classes_of_the_real_trees(shared: Path) -> None:
    table = Path(__file__).parents[4] / "benchmarks" / "naip_scene_classes.csv"
    dataset = boxes.with_scenes(boxes.read(shared / "data" / "trees" / "objects.json"), table)
    assert dataset.problems == ()
    assert sum(sample.scene_class is not None for sample in dataset.samples) == 509
    assert {s.image.name[:4] for s in dataset.samples if s.scene_class and s.split == "test"} == {"long", "eure"}


@pytest.mark.parametrize(
    ("name", "images", "outlines"), [("airport", 304, 4426), ("ships", 715, 1914), ("trees", 518, 0)]
)
def test_the_real_sets_are_read_completely(shared: Path, name: str, images: int, outlines: int) -> None:
    root = shared / "data" / name
    dataset = boxes.read(root / "objects.json")
    assert dataset.problems == ()
    assert len(dataset.samples) == images
    entries = json.loads((root / "objects.json").read_text())
    assert sum(len(entry.get("polygons", ())) for entry in entries) == outlines
    assert {sample.split for sample in dataset.samples} >= {"train", "val"}


@pytest.mark.parametrize("text", ["", "5", "null"])
def test_files_of_another_layout_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "objects.json").write_text(text)
    with pytest.raises(DataError, match="not in the expected layout"):
        boxes.read(tmp_path / "objects.json")


def test_another_folder_is_not_recognised(tmp_path: Path) -> None:
    assert boxes.find(tmp_path) is None
