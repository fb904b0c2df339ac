"""Folders and files that appear whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


def write_whole(target: Path, text: str) -> None:
    """Write a text file, which appears complete or not at all. Raises OutputError where it cannot be written."""
    try:
        files.write_whole(target, text)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error}); choose another file") from error
