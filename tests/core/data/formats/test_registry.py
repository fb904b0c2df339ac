from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.data.formats.registry import (
    FORMATS,
    find_format,
    format_names,
    load_format,
    read_dataset,
    register_format,
)
from rsmoe_core.errors import DataError, UsageError


def test_the_annotation_file_determines_the_format(karpathy_folder: Path) -> None:
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
"""One row of each format, about an image that is missing."""


def _write(root: Path, name: str) -> Path:
    file, content = ROWS[name]
    path = root / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    for part in ("questions", "answers"):
        if name == "rsvqa":
            (root / f"LR_split_train_{part}.json").write_text(json.dumps({part: []}))
    return path


@pytest.mark.parametrize("name", ROWS)
def test_each_format_is_recognised_and_a_missing_image_is_reported(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path, name)
    found, annotations = find_format(tmp_path)
    assert found == name
    assert annotations in (path, path.parent)
    assert set(ROWS) == set(format_names()) - {"scene_folders"}, "which is recognised by the images themselves"
    with pytest.raises(DataError, match=r"no usable image \(.*\.(png|tif) is missing"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("name", format_names())
def test_a_folder_of_another_format_is_refused(tmp_path: Path, name: str) -> None:
    _write(tmp_path, "boxes" if name != "boxes" else "plain")
    with pytest.raises(DataError, match="holds no annotations; expected ") as refused:
        read_dataset(tmp_path, name)
    assert load_format(name).RECOGNISED_BY in str(refused.value)


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


class Listed:
    """A format of a text file with an image and its caption in each line."""

    RECOGNISED_BY = "list.tsv"

    def find(self, root: Path) -> Path | None:
        return path if (path := root / self.RECOGNISED_BY).is_file() else None

    def read(self, annotations: Path) -> Dataset:
        rows = (line.split("\t") for line in annotations.read_text().splitlines())
        samples = tuple(Sample(annotations.parent / name, "train", (caption,)) for name, caption in rows)
        return Dataset(annotations.parent, samples, ())


def test_a_new_format_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "listed", "")  # so that it is removed again
    del FORMATS["listed"]
    register_format("listed", Listed())
    (tmp_path / "list.tsv").write_text("a.png\ta road .\n")
    assert "listed" in format_names()
    assert find_format(tmp_path) == ("listed", tmp_path / "list.tsv")
    assert read_dataset(tmp_path).samples == (Sample(tmp_path / "a.png", "train", ("a road .",)),)
    with pytest.raises(DataError, match=r"list\.tsv \(listed\)"):
        read_dataset(tmp_path / "..", "listed")
    with pytest.raises(UsageError, match="the name 'listed' is taken"):
        register_format("listed", Listed())


def test_listing_the_formats_is_cheap() -> None:
    code = (
        "import sys; from rsmoe_core.data.formats.registry import format_names; "
        "print(format_names()[0], {'torch', 'numpy', 'PIL'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "plain set()"
