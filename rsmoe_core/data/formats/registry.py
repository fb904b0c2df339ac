"""Data formats by name: `read_dataset(folder)` reads a folder of any of them.

A format is a module with the names of `rsmoe_core.data.base.Format`, and one entry of `FORMATS`. Modules are imported
when a folder is read, so that listing the names is cheap.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rsmoe_core.errors import DataError, UsageError

if TYPE_CHECKING:
    from rsmoe_core.data.base import Dataset, Format

FORMATS: dict[str, Format | str] = {}
"""Name → format, or the name of its module, in the order in which formats are tried."""


def register_format(name: str, data_format: Format | str) -> None:
    """Add a format, to be tried after the others; a module can be given by its name, to be imported when needed.

    Raises:
        UsageError: the name is taken.
    """
    if name in FORMATS:
        raise UsageError(f"the name '{name}' is taken; give the data format another one")
    FORMATS[name] = data_format


for _name in (
    "plain",
    "nwpu",  # before karpathy, whose dataset*.json matches its file too
    "karpathy",
    "rsicap",
    "rsieval",
    "rsvqa",
    "vrsbench",
    "boxes",
    "ucm",
    "rsivqa",
    "scene_folders",  # the last one, since it is recognised without annotations
):
    register_format(_name, f"rsmoe_core.data.formats.{_name}")


def format_names() -> tuple[str, ...]:
    """The names of all formats, without importing any."""
    return tuple(FORMATS)


def find_format(root: Path, name: str | None = None) -> tuple[str, Path]:
    """The name of the format of `root`, and its annotations; if `name` is given, only this format is tried.

    Raises:
        UsageError: there is no such format.
        DataError: the folder is missing or of another format.
    """
    if name is not None and name not in FORMATS:
        raise UsageError(f"no format '{name}'; choose from: {', '.join(FORMATS)}")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder that holds the annotations")
    tried = {known: load_format(known) for known in (FORMATS if name is None else (name,))}
    for known, data_format in tried.items():
        annotations = data_format.find(root)
        if annotations is not None:
            return known, annotations
    expected = ", ".join(f"{data_format.RECOGNISED_BY} ({known})" for known, data_format in tried.items())
    raise DataError(f"{root}: holds no annotations; expected {'one of: ' if name is None else ''}{expected}")


def read_dataset(root: Path, name: str | None = None) -> Dataset:
    """Read the data set in `root`, in the format `name` or else in the first one that recognises the folder.

    Raises:
        UsageError: there is no such format.
        DataError: the folder is missing, of another format, or has no usable image.
    """
    known, annotations = find_format(root, name)
    dataset = load_format(known).read(annotations)
    if not dataset.samples:
        first = dataset.problems[0] if dataset.problems else "the file is empty"
        raise DataError(f"{annotations}: no usable image ({first}); repair it, or name another folder")
    return dataset


def load_format(name: str) -> Format:
    """The format of this name, imported when needed."""
    registered = FORMATS[name]
    return cast("Format", import_module(registered)) if isinstance(registered, str) else registered
