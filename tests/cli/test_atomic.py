from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_cli.atomic import atomic_file, atomic_folder, atomic_write, clean_stale
from rsmoe_cli.errors import OutputError
from tests.cli.full_disk import limited


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


@pytest.mark.parametrize("atomic", [atomic_folder, atomic_file])
def test_an_interruption_leaves_nothing_behind(tmp_path: Path, atomic: type) -> None:
    def interrupted() -> None:
        with atomic(tmp_path / "a") as path:
            (path / "a.txt" if path.is_dir() else path).touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_existing_content_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").touch()
    for target in (tmp_path / "mine", tmp_path / "mine" / "a.txt"):
        with pytest.raises(OutputError, match="exists already"), atomic_folder(target):
            pytest.fail("nothing may be written")


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"), atomic_folder(tmp_path / "file" / "a"):
        pytest.fail("nothing may be written")


def test_a_file_replaces_another_one_at_once(tmp_path: Path) -> None:
    target = tmp_path / "a.md"
    for text in ("first", "second, ü"):
        atomic_write(target, text)
        assert target.read_text(encoding="utf-8") == text
    with limited(100), pytest.raises(OutputError, match=r"^cannot write .*a\.md: .*; is the disk full\?"):
        atomic_write(target, "x" * 1000)
    assert target.read_text(encoding="utf-8") == "second, ü"
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(OutputError, match=r"cannot write into .*nowhere: No such file or directory"):
        atomic_write(tmp_path / "nowhere" / "a.md", "text")


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    for name in ("a.gpkg", "b.gpkg"):
        with atomic_file(tmp_path / name) as path:
            path.touch()
            path.parent.rename(path.parent.with_name(f"{path.parent.name}-killed"))
            kept = path.parent.with_name(f"{path.parent.name}-killed")
            path.parent.mkdir()
            path.touch()
    clean_stale(tmp_path / "a.gpkg")
    assert sorted(path.name for path in tmp_path.iterdir()) == [kept.name, "a.gpkg", "b.gpkg"]
