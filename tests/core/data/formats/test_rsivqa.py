from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_core.data.base import Question, hashed_split
from rsmoe_core.data.formats import rsivqa
from rsmoe_core.errors import DataError


def _read(root: Path, text: str) -> rsivqa.Dataset:
    (root / "ucm.txt").write_text(text)
    found = rsivqa.find(root)
    assert found == root / "ucm.txt"
    return rsivqa.read(found)


def test_the_lines_of_an_image_are_gathered(tmp_path: Path) -> None:
    for name in ("1.tif", "2.tif"):
        (tmp_path / name).touch()
    dataset = _read(
        tmp_path,
        "1.tif:what is the theme of this picture?Residential\n"
        "2.tif:how many cars in the picture? two\r\n"
        "\n"
        "1.tif:does this picture contain trees?yes\n",
    )
    first, second = dataset.samples
    assert first.questions == (
        Question("what is the theme of this picture?", "residential", "theme"),
        Question("does this picture contain trees?", "yes", "presence"),
    )
    assert second.questions == (Question("how many cars in the picture?", "two", "count"),)
    assert (first.captions, first.split, second.split) == ((), hashed_split("1.tif"), hashed_split("2.tif"))
    assert dataset.problems == ()


def test_unusable_lines_are_listed_with_their_number(tmp_path: Path) -> None:
    (tmp_path / "1.tif").touch()
    dataset = _read(
        tmp_path,
        "1.tif:is it a road?yes\nnonsense\n1.tif:is it a road?no\n1.tif:where is it?\n"
        "2.tif:is it?no\n2.tif:was it?no\n",
    )
    assert [len(sample.questions) for sample in dataset.samples] == [1]
    path = tmp_path / "ucm.txt"
    assert dataset.problems == (
        f"{path}:2: expected NAME.tif:QUESTION?ANSWER, found 'nonsense'",
        f"{path}:4: the answer is empty",
        f"{path}:3: 'is it a road?' is a duplicate question of this image",
        f"{path}:5: {tmp_path / '2.tif'} is missing, and 2 questions with it",
    )


def test_other_texts_are_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("What is this?\nA data set: images and questions.\n")
    assert rsivqa.find(tmp_path) is None


def test_two_files_in_one_folder_are_refused(tmp_path: Path) -> None:
    for name in ("sydney.txt", "ucm.txt"):
        (tmp_path / name).write_text("1.tif:is it a road?yes\n")
    with pytest.raises(DataError, match=r"sydney\.txt and ucm\.txt both hold questions; give each its own folder"):
        rsivqa.find(tmp_path)
