"""Folders and files that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rsmoe_cli.errors import OutputError
from rsmoe_core import files


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder to fill: it becomes `target` when the block ends well, and leaves nothing behind otherwise.

    Raises OutputError where `target` holds something already or cannot be written.
    """
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OutputError(f"{target}: exists already; remove it or choose another folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as aside:
            folder = Path(aside) / target.name
            folder.mkdir()
            yield folder
            folder.replace(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error}); choose another folder") from error


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """A place for a file to be written: it becomes `target` when the block ends well, and leaves nothing otherwise.

    The file is safe on the disk before it gets its name, and its name before the block is left. Raises OutputError
    where it cannot be written.
    """
    try:
        aside = Path(tempfile.mkdtemp(prefix=_aside(target), dir=target.parent))
    except OSError as error:
        raise OutputError(f"cannot write into {target.parent}: {error.strerror}; choose another folder") from error
    try:
        yield aside / target.name
        try:
            _fsync(aside / target.name)
            os.replace(aside / target.name, target)
        except OSError as error:
            raise OutputError(f"cannot write {target}: {error.strerror}; is the disk full?") from error
        with suppress(OSError):  # not every file system can do that with a folder
            _fsync(target.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def clean_stale(target: Path) -> None:
    """Removes what killed runs left of a new file; only for those who know that nobody is writing it."""
    for aside in target.parent.iterdir():
        if aside.name.startswith(_aside(target)) and aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)


def _aside(target: Path) -> str:
    """How the folders begin in which a new file is written."""
    return f".{target.name}.unfinished-"


def _fsync(path: Path) -> None:
    """Returns when a file, or the names in a folder, have reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(target: Path, text: str) -> None:
    """Write a text file, which appears complete or not at all. Raises OutputError where it cannot be written."""
    try:
        files.write_whole(target, text)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error}); choose another file") from error
