"""A data set in any known format → a folder in the project's plain format, with its pictures."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from rsmoe_cli.folders import new_folder
from rsmoe_core.data import Dataset, boxes, plain, read_dataset


def prepare(name: str, source: Path, target: Path, scenes: Path | None = None) -> Dataset:
    """Turn the data set in `source`, of the format `name`, into the plain folder `target`; returns what was read.

    `scenes` is a table of kinds of place for pictures of the format `boxes` (see there).

    Pictures are hard links where the file system allows it, else copies. The folder appears whole or not at all. Raises
    OutputError where it holds something already, and UsageError and DataError as `read_dataset` does.
    """
    with new_folder(target) as folder:
        dataset = read_dataset(source, name)
        if scenes is not None:
            dataset = boxes.with_scenes(dataset, scenes)
        (folder / "images").mkdir()
        samples = []
        for sample, unique in zip(dataset.samples, unique_names(s.image for s in dataset.samples), strict=True):
            image = folder / "images" / unique
            _place(sample.image, image)
            samples.append(dataclasses.replace(sample, image=image))
        plain.write(folder, samples)
    return dataset


def unique_names(images: Iterable[Path]) -> Iterator[str]:
    """A file name for each picture: its own, with a number where another picture has it already, in any case."""
    taken: set[str] = set()
    for image in images:
        name, number = image.name, 1
        while name.lower() in taken:  # some file systems do not tell A.jpg from a.jpg
            number += 1
            name = f"{image.stem}_{number}{image.suffix}"
        taken.add(name.lower())
        yield name


def _place(image: Path, target: Path) -> None:
    original = image.resolve()  # a link to a relative link would lead nowhere
    try:
        os.link(original, target)
    except OSError:
        shutil.copyfile(original, target)
