"""A data set in any known format → a folder in the project's plain format, with its pictures."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from rsmoe_cli.atomic import atomic_folder
from rsmoe_core.data.base import Dataset, Sample, read_image
from rsmoe_core.data.colorize import ReferenceImages, is_grey
from rsmoe_core.data.formats import boxes, plain
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.errors import UsageError


def prepare(
    name: str, source: Path, target: Path, scenes: Path | None = None, *, colours: Path | None = None, seed: int = 0
) -> Dataset:
    """Turn the data set in `source`, of the format `name`, into the plain folder `target`; returns what was read.

    `scenes` is a table of kinds of place for pictures of the format `boxes` (see there). `colours` is a data set whose
    colours grey pictures take (`rsmoe_core.data.colorize`), which of them by `seed`.

    Other pictures are hard links where the file system allows it, else copies. The folder appears whole or not at all.
    Raises OutputError where it holds something already, UsageError where no picture is grey that should take colours,
    DataError where one of those cannot be read, and both as `read_dataset` does.
    """
    with atomic_folder(target) as folder:
        dataset = read_dataset(source, name)
        references = None if colours is None else ReferenceImages(read_dataset(colours))
        if scenes is not None:
            dataset = boxes.with_scenes(dataset, scenes)
        (folder / "images").mkdir()
        samples, colourised = [], 0
        names = unique_names(s.image for s in dataset.samples)
        for number, (sample, unique) in enumerate(zip(dataset.samples, names, strict=True)):
            image = folder / "images" / unique
            if references is not None and _colourise(sample, image, references, np.random.default_rng((seed, number))):
                colourised += 1
            else:
                _place(sample.image, image)
            samples.append(dataclasses.replace(sample, image=image))
        if references is not None and not colourised:
            raise UsageError(f"{source} has no grey picture that could take other colours; leave out --colours")
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


def _colourise(sample: Sample, target: Path, references: ReferenceImages, rng: np.random.Generator) -> bool:
    """Write a grey picture in borrowed colours; False, and nothing, where it has its own."""
    picture = read_image(sample.image)
    if not is_grey(picture):
        return False
    named = Image.registered_extensions().get(target.suffix.lower())
    written = named if named in Image.SAVE else "PNG"  # pictures are read whatever they are called
    Image.fromarray(references.colourise(picture, sample.scene_class, rng)).save(target, written, quality=95)
    return True
