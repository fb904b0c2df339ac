from __future__ import annotations

import json
from pathlib import Path

import pytest

from rsmoe_core.data.formats import karpathy
from rsmoe_core.errors import DataError


def _write(root: Path, names: list[str], **changes: object) -> Path:
    for name in names:
        (root / name).touch()
    entry = {"split": "train", "sentences": [{"raw": "A  Road ."}], **changes}
    path = root / "dataset_a.json"
    path.write_text(json.dumps({"images": [{"filename": name, **entry} for name in names]}))
    return path


def test_samples_of_the_layout(karpathy_folder: Path) -> None:
    found = karpathy.find(karpathy_folder)
    assert found == karpathy_folder / "dataset_small.json"
    dataset = karpathy.read(found)
    first = dataset.samples[0]
    assert first.image == karpathy_folder / "train" / "pond_1.jpg"
    assert first.captions == ("a pond is near a road .",) * 4 + ("it is a pond with some trees .",)
    assert (first.scene_class, first.group, first.objects) == ("pond", "pond:0", None)
    assert len(dataset.split("train")) == 36
    assert len(dataset.split("test")) == 4


@pytest.mark.parametrize(
    ("name", "scene_class", "group"),
    [
        ("airport_7.jpg", "airport", "airport:0"),
        ("airport_10.jpg", "airport", "airport:1"),
        ("denseresidential_119.jpg", "dense residential area", "denseresidential:11"),
        ("tall_tower_3.jpg", "tall tower", "tall_tower:0"),
        ("00465.jpg", None, ":46"),
        ("harbour.jpg", None, "harbour"),
        ("view_a.jpg", None, "view_a"),
        ("power_².jpg", None, "power_²"),
    ],
)
def test_scene_class_and_group_follow_from_the_name(
    tmp_path: Path, name: str, scene_class: str | None, group: str
) -> None:
    (sample,) = karpathy.read(_write(tmp_path, [name])).samples
    assert (sample.scene_class, sample.group) == (scene_class, group)
    assert sample.captions == ("a road .",)


def test_images_may_be_in_the_folder_of_ucm_and_sydney_captions(tmp_path: Path) -> None:
    path = _write(tmp_path, ["1.tif"])
    (tmp_path / "imgs").mkdir()
    (tmp_path / "1.tif").rename(tmp_path / "imgs" / "1.tif")
    assert [sample.image for sample in karpathy.read(path).samples] == [tmp_path / "imgs" / "1.tif"]


def test_rsicd_is_read_completely(shared: Path) -> None:
    dataset = karpathy.read(shared / "data" / "rsicd" / "dataset_rsicd.json")
    assert dataset.problems == ()
    assert [len(dataset.split(split)) for split in ("train", "val", "test")] == [8734, 1094, 1093]
    assert sum(len(sample.captions) for sample in dataset.samples) == 5 * 10921


def test_unusable_entries_are_listed(tmp_path: Path) -> None:
    path = _write(tmp_path, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    content = json.loads(path.read_text())
    content["images"][0]["sentences"] = []
    content["images"][1]["sentences"] = [{"raw": None}]
    del content["images"][2]["filename"]
    path.write_text(json.dumps({"images": [*content["images"], "e.jpg"]}))
    dataset = karpathy.read(path)
    assert [sample.image.name for sample in dataset.samples] == ["d.jpg"]
    assert [f"{path}: entry {n}:" in problem for n, problem in zip((0, 1, 2, 4), dataset.problems, strict=True)]
    assert "a.jpg has no caption, question, scene class or boxes" in dataset.problems[0]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"images": 5}', "\xff\xfe"])
def test_files_of_another_layout_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "dataset.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="not in the expected layout"):
        karpathy.read(path)


def test_another_folder_is_not_recognised(tmp_path: Path) -> None:
    assert karpathy.find(tmp_path) is None
