from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_core.data import plain
from rsmoe_core.data.base import Sample
from rsmoe_core.errors import DataError


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    samples = (
        Sample(
            tmp_path / "a.png", "train", ("a port with three ships .", "a port ."), "port", "algiers", "three ships"
        ),
        Sample(tmp_path / "val" / "é.png", "val", ("a road .", "a road ."), series="7"),
    )
    for sample in samples:
        sample.image.touch()
    plain.write(tmp_path, samples)
    found = plain.find(tmp_path)
    assert found == tmp_path / "annotations.jsonl"
    dataset = plain.read(found)
    assert dataset.samples == samples
    assert dataset.problems == ()


def test_unusable_lines_are_listed_with_their_number(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    good = '{"image": "a.png", "split": "train", "captions": ["A \u2028 road ."]}'
    path = tmp_path / plain.ANNOTATIONS
    path.write_text("\n".join(["", good, "{", "[1]", '{"image": "a.png", "split": "train"}', good, ""]))
    dataset = plain.read(path)
    assert [sample.captions for sample in dataset.samples] == [("a road .",)] * 2
    assert [problem.split(": ")[0] for problem in dataset.problems] == [f"{path}:{number}" for number in (3, 4, 5)]
    assert "has no 'captions'" in dataset.problems[2]


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / plain.ANNOTATIONS).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read as UTF-8 text"):
        plain.read(tmp_path / plain.ANNOTATIONS)


def test_another_folder_is_not_recognised(tmp_path: Path) -> None:
    assert plain.find(tmp_path) is None
