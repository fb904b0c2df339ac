"""Data formats by name: `read_dataset(folder)` gives samples, whatever the folder's format."""

from __future__ import annotations

from pathlib import Path

from rsmoe_core.data.base import Dataset, Format
from rsmoe_core.data.formats import boxes, karpathy, nwpu, plain, rsicap, rsieval, rsivqa, rsvqa, ucm, vrsbench
from rsmoe_core.errors import DataError, UsageError

FORMATS: dict[str, Format] = {
    "plain": plain,
    "nwpu": nwpu,  # before karpathy, whose dataset*.json would fit its file
    "karpathy": karpathy,
    "rsicap": rsicap,
    "rsieval": rsieval,
    "rsvqa": rsvqa,
    "vrsbench": vrsbench,
    "boxes": boxes,
    "ucm": ucm,
    "rsivqa": rsivqa,
}
"""Each format by its name, in the order in which they are tried."""


def find_format(root: Path, name: str | None = None) -> tuple[str, Path]:
    """The name of the format that `root` is in, and its annotations; only `name` is tried where it is given.

    Raises UsageError where there is no such format, and DataError where the folder is missing or of another format.
    """
    if name is not None and name not in FORMATS:
        raise UsageError(f"no format '{name}'; choose from: {', '.join(FORMATS)}")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give the folder that holds the annotations")
    tried = FORMATS if name is None else {name: FORMATS[name]}
    for known, module in tried.items():
        annotations = module.find(root)
        if annotations is not None:
            return known, annotations
    wanted = ", ".join(f"{module.RECOGNISED_BY} ({known})" for known, module in tried.items())
    raise DataError(f"{root}: holds no annotations; expected {'one of: ' if name is None else ''}{wanted}")


def read_dataset(root: Path, name: str | None = None) -> Dataset:
    """Read the data set in `root`, in the format `name` or else in the first one that recognises the folder.

    Raises UsageError and DataError as `find_format` does, and DataError where there is no usable picture.
    """
    known, annotations = find_format(root, name)
    dataset = FORMATS[known].read(annotations)
    if not dataset.samples:
        first = dataset.problems[0] if dataset.problems else "the file is empty"
        raise DataError(f"{annotations}: no usable picture ({first}); repair it, or name another folder")
    return dataset
