"""A data set in any known format → a folder in the project's plain format, with its images."""

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
from rsmoe_core.data.colourise import ReferenceImages, is_grey
from rsmoe_core.data.formats import boxes, plain
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.errors import UsageError


def prepare_dataset(
    name: str,
    source: Path,
    target: Path,
    scene_classes: Path | None = None,
    *,
    colours: Path | None = None,
    seed: int = 0,
) -> Dataset:
    """Convert a data set into a new folder, which appears complete or not at all.

    Images become hard links where the file system allows it, else copies.

    Args:
        name: Format of the data set.
        source: Its folder.
        target: The new folder.
        scene_classes: Table with the scene class of each image, for the format `boxes` (see there).
        colours: Folder of a data set whose colours grey images take (`rsmoe_core.data.colourise`).
        seed: Seed of the choice of these colours.

    Returns:
        The data set as it was read, with the images where they were.

    Raises:
        OutputError: the target holds something already, or cannot be written.
        UsageError: there is no grey image to take colours, or an error of `read_dataset`.
        DataError: an image to be coloured cannot be read, or an error of `read_dataset`.
    """
    with atomic_folder(target) as folder:
        dataset = read_dataset(source, name)
        references = None if colours is None else ReferenceImages(read_dataset(colours))
        if scene_classes is not None:
            dataset = boxes.with_scenes(dataset, scene_classes)
        (folder / "images").mkdir()
        samples, colourised = [], 0
        names = unique_names(sample.image for sample in dataset.samples)
        for number, (sample, unique) in enumerate(zip(dataset.samples, names, strict=True)):
            image = folder / "images" / unique
            if references is not None and _colourise(sample, image, references, np.random.default_rng((seed, number))):
                colourised += 1
            else:
                _link_or_copy(sample.image, image)
            samples.append(dataclasses.replace(sample, image=image))
        if references is not None and not colourised:
            raise UsageError(f"{source} has no grey image that could take other colours; leave out --colours")
        plain.write(folder, samples)
    return dataset


def unique_names(images: Iterable[Path]) -> Iterator[str]:
    """A file name for each image: its own, with a number if another image has the same name, ignoring case."""
    used: set[str] = set()
    for image in images:
        name, number = image.name, 1
        while name.lower() in used:  # some file systems do not distinguish A.jpg from a.jpg
            number += 1
            name = f"{image.stem}_{number}{image.suffix}"
        used.add(name.lower())
        yield name


def _link_or_copy(image: Path, target: Path) -> None:
    original = image.resolve()  # a hard link to a relative symbolic link would be broken
    try:
        os.link(original, target)
    except OSError:
        shutil.copyfile(original, target)


def _colourise(sample: Sample, target: Path, references: ReferenceImages, rng: np.random.Generator) -> bool:
    """Write a grey image in other colours; returns False, and writes nothing, if the image is not grey."""
    image_HWC = read_image(sample.image)
    if not is_grey(image_HWC):
        return False
    by_suffix = Image.registered_extensions().get(target.suffix.lower())
    image_format = by_suffix if by_suffix in Image.SAVE else "PNG"  # images are read whatever their suffix is
    colourised_HWC = references.colourise(image_HWC, sample.scene_class, rng)
    Image.fromarray(colourised_HWC).save(target, image_format, quality=95)
    return True
