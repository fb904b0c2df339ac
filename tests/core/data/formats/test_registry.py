from __future__ import annotations

import json
from pathlib import Path

import pytest

from rsmoe_core.data.formats.registry import FORMATS, find_format, read_dataset
from rsmoe_core.errors import DataError, UsageError


def test_the_format_is_known_by_the_annotation_file(karpathy_folder: Path) -> None:
    dataset = read_dataset(karpathy_folder)
    assert dataset.root == karpathy_folder
    assert len(dataset.samples) == 40
    assert dataset.problems == ()


ROWS: dict[str, tuple[str, object]] = {
    "plain": ("annotations.jsonl", {"image": "a.png", "split": "train", "captions": ["a road ."]}),
    "nwpu": ("dataset_nwpu.json", {"road": [{"filename": "a.png", "split": "train", "raw": "a road ."}]}),
    "karpathy": (
        "dataset_a.json",
        {"images": [{"filename": "a.png", "split": "train", "sentences": [{"raw": "a road ."}]}]},
    ),
    "rsicap": ("captions.json", {"annotations": [{"filename": "a.png", "text_output": "a road ."}]}),
    "rsieval": ("annotations.json", {"annotations": [{"filename": "a.png", "caption": "a road .", "qa_pairs": []}]}),
    "rsvqa": ("LR_split_train_images.json", {"images": [{"id": 0, "questions_ids": [], "active": True}]}),
    "vrsbench": ("Annotations_val/a.json", {"image": "a.png", "caption": "a road .", "qa_pairs": []}),
    "boxes": ("objects.json", [{"image": "a.png", "split": "train", "label": "ship", "polygons": []}]),
    "ucm": ("annotations.json", [{"image": "a.png", "scene": "river", "qa": [["Is it a river?", "yes"]]}]),
    "rsivqa": ("ucm.txt", "a.png:is it a road?yes"),
}
"""One row of each format, about a picture that is missing."""


def _write(root: Path, name: str) -> Path:
    file, content = ROWS[name]
    path = root / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    for part in ("questions", "answers"):
        if name == "rsvqa":
            (root / f"LR_split_train_{part}.json").write_text(json.dumps({part: []}))
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_recognised_and_a_missing_picture_is_told(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path, name)
    found, annotations = find_format(tmp_path)
    assert found == name
    assert annotations in (path, path.parent)
    with pytest.raises(DataError, match=r"no usable picture \(.*\.(png|tif) is missing"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_of_another_format_is_refused(tmp_path: Path, name: str) -> None:
    _write(tmp_path, "boxes" if name != "boxes" else "plain")
    with pytest.raises(DataError, match="holds no annotations; expected ") as refused:
        read_dataset(tmp_path, name)
    assert FORMATS[name].RECOGNISED_BY in str(refused.value)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "annotations.jsonl").touch()
    with pytest.raises(DataError, match="the file is empty"):
        read_dataset(tmp_path)


def test_a_missing_folder_and_one_of_no_known_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"annotations\.jsonl \(plain\)"):
        read_dataset(tmp_path)


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no format 'coco'; choose from: plain, nwpu"):
        read_dataset(tmp_path, "coco")
