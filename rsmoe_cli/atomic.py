"""Files and folders that appear complete or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rsmoe_cli.errors import OutputError

MAX_NAME = 243
"""Bytes in the name of an output: the 255 of most file systems, less what SQLite and others append (`-journal`)."""
_LONG_NAME = 230
"""Bytes in a name above which the names of temporary files are made from a part of it."""


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A new folder to fill: it becomes `target` when the block ends well, and leaves nothing behind otherwise.

    Raises:
        OutputError: `target` holds something already, or cannot be written.
    """
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OutputError(f"{target}: exists already; remove it or choose another folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{short_name(target.name)}-", dir=target.parent) as temporary:
            folder = Path(temporary) / target.name
            folder.mkdir()
            yield folder
            folder.replace(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error}); choose another folder") from error


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """A path to write a file to: it becomes `target` when the block ends well, and leaves nothing behind otherwise.

    The content has reached the disk before the file gets its name, and the name before the block is left.

    Raises:
        OutputError: the file cannot be written.
    """
    with unfinished_file(target) as unfinished:
        yield unfinished
        try:
            _fsync(unfinished)
            os.replace(unfinished, target)
        except OSError as error:
            raise OutputError(f"cannot write {target}: {error.strerror}; is the disk full?") from error
        with suppress(OSError):  # some file systems cannot do that with a folder
            _fsync(target.parent)


@contextmanager
def unfinished_file(target: Path) -> Iterator[Path]:
    """A path beside `target`, in a temporary folder that is removed when the block ends.

    Raises:
        OutputError: the folder of `target` cannot be written.
    """
    try:
        temporary = Path(tempfile.mkdtemp(prefix=_temporary_prefix(target), dir=target.parent))
    except OSError as error:
        raise OutputError(f"cannot write into {target.parent}: {error.strerror}; choose another folder") from error
    try:
        yield temporary / (target.name if len(os.fsencode(target.name)) <= _LONG_NAME else f"output{target.suffix}")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def atomic_write(target: Path, text: str) -> None:
    """Write a text file in UTF-8, complete or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_file(target) as file:
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {target}: {error.strerror}; is the disk full?") from error


def clean_stale(target: Path) -> None:
    """Remove what killed runs left of an atomic file. Call it only when no other process is writing that file."""
    for path in target.parent.iterdir():
        if path.name.startswith(_temporary_prefix(target)) and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def short_name(name: str) -> str:
    """A file name that leaves room for an ending: a long one is cut, and made unique again by a checksum."""
    data = os.fsencode(name)
    if len(data) <= _LONG_NAME:
        return name
    checksum = hashlib.sha256(data).hexdigest()[:8]
    return f"{data[: _LONG_NAME - 9].decode(errors='ignore')}~{checksum}"


def _temporary_prefix(target: Path) -> str:
    """The start of the names of the temporary folders in which an atomic file is written."""
    return f".{short_name(target.name)}.unfinished-"


def _fsync(path: Path) -> None:
    """Returns when a file, or the names in a folder, have reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
