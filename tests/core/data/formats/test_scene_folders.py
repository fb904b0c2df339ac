from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsmoe_core.data.base import summarise
from rsmoe_core.data.formats import scene_folders
from rsmoe_core.data.formats.registry import find_format, read_dataset
from rsmoe_core.errors import DataError


def written(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(root / name)
    return root


def test_the_folder_of_an_image_is_its_scene_class(tmp_path: Path) -> None:
    root = written(tmp_path, "AnnualCrop/1.jpg", "AnnualCrop/2.JPG", "dense-residential/1.png", "SeaLake/1.tif")
    (root / "SeaLake" / "notes.txt").touch()
    dataset = read_dataset(root)
    assert dataset.problems == ()
    assert [(one.image.name, one.scene_class) for one in dataset.samples] == [
        ("1.jpg", "annual crop"),
        ("2.JPG", "annual crop"),
        ("1.tif", "sea lake"),
        ("1.png", "dense residential area"),
    ]
    assert summarise(dataset).scene_classes["annual crop"] == 2


@pytest.mark.parametrize("above", ["2750", "UCMerced_LandUse/Images"])
def test_folders_with_one_folder_are_passed_over(tmp_path: Path, above: str) -> None:
    written(tmp_path, f"{above}/forest/forest_1.png", f"{above}/river/river_1.png")
    (tmp_path / "readme.txt").touch()
    assert find_format(tmp_path) == ("scene_folders", tmp_path / above)


def test_splits_are_those_of_the_folders(tmp_path: Path) -> None:
    names = [f"{split}/{name}/1.png" for split in ("train", "valid", "Testing") for name in ("forest", "river")]
    dataset = read_dataset(written(tmp_path, *names))
    assert {one.image.parent.parent.name: one.split for one in dataset.samples} == {
        "train": "train",
        "valid": "val",
        "Testing": "test",
    }
    assert {one.scene_class for one in dataset.samples} == {"forest", "river"}


def test_without_splits_an_image_keeps_its_own_when_others_are_added(tmp_path: Path) -> None:
    root = written(tmp_path, *(f"{name}/{n}.png" for name in ("forest", "river") for n in range(40)))
    before = {one.image: one.split for one in read_dataset(root).samples}
    assert set(before.values()) == {"train", "val", "test"}
    written(root, "beach/1.png")
    assert before.items() <= {one.image: one.split for one in read_dataset(root).samples}.items()


@pytest.mark.parametrize(
    "names",
    [
        ("images/1.png", "masks/1.png"),
        ("train/1.png", "test/1.png"),
        ("forest/1.png",),
        ("train/images/1.png", "train/labels/1.png"),
        ("1.png", "2.png"),
        ("A/1.png", "B/1.png", "label/1.png"),
    ],
)
def test_other_folders_of_images_are_not_taken_for_classes(tmp_path: Path, names: Sequence[str]) -> None:
    assert scene_folders.find(written(tmp_path, *names)) is None
    with pytest.raises(DataError, match="holds no annotations"):
        read_dataset(tmp_path)


def test_a_problem_is_one_line_whatever_the_folders_are_called(tmp_path: Path) -> None:
    root = written(tmp_path, "river/1.png", "a\nb/1.png")
    (root / "a\nb" / "1.png").write_bytes(b"no image")
    (root / "a\nb" / "2.png").symlink_to("nowhere")
    problems = summarise(read_dataset(root)).problems
    assert len(problems) == 2
    assert not any("\n" in problem for problem in problems)
