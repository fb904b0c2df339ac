from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_cli.atomic import atomic_file, atomic_folder, atomic_write, clean_stale
from rsmoe_cli.errors import OutputError


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    with atomic_folder(target) as folder:
        (folder / "a.txt").write_text("a")
        assert not target.exists()
    assert (target / "a.txt").read_text() == "a"
    assert list(target.parent.iterdir()) == [target]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with atomic_folder(tmp_path / "a") as folder:
        (folder / "a.txt").touch()
    assert (tmp_path / "a" / "a.txt").exists()


def test_what_breaks_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic_folder(tmp_path / "a") as folder:
            (folder / "a.txt").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").touch()
    for target in (tmp_path / "mine", tmp_path / "mine" / "a.txt"):
        with pytest.raises(OutputError, match="exists already"), atomic_folder(target):
            pytest.fail("nothing may be written")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"), atomic_folder(tmp_path / "file" / "a"):
        pytest.fail("nothing may be written")


def test_a_file_is_written_whole_in_the_place_of_another(tmp_path: Path) -> None:
    target = tmp_path / "a.md"
    for text in ("first", "second, ü"):
        atomic_write(target, text)
        assert target.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(
        OutputError, match=r"cannot write into .*nowhere: No such file or directory; choose another folder"
    ):
        atomic_write(tmp_path / "nowhere" / "a.md", "text")
