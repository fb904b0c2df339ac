"""Images in folders that are named after their scene classes, without any annotation file.

    ROOT/AnnualCrop/AnnualCrop_1.jpg          EuroSAT, AID, NWPU-RESISC45, UC Merced as published, ...
    ROOT/train/dense_residential/7.png        with splits, which may also be called training, val, valid, test, ...

Folders above that hold nothing but one other folder are passed over. Names in camel case or with underscores become
words. Without folders for splits, `hashed_split` of class and name is the split of an image. A folder is of this format
only if no other format recognises it, and if none of the folders has a name that does not say what its images show.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from rsmoe_core.data.base import Dataset, Sample, hashed_split
from rsmoe_core.data.formats.common import collect
from rsmoe_core.words.scene_classes import readable_name

RECOGNISED_BY = "folders of images, named after scene classes"

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2", ".ppm")
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Names of folders that are splits."""
_NO_CLASSES = {
    *(
        "annotation",
        "annotations",
        "anno",
        "chips",
        "data",
        "depth",
        "dsm",
        "gt",
        "image",
        "images",
        "img",
        "imgs",
        "input",
    ),
    *("jpegimages", "jpg", "label", "labels", "mask", "masks", "nir", "patches", "pictures", "png", "raw", "rgb"),
    *("segmentation", "target", "thumbnails", "tiles", "tif", "a", "b", "images_hr", "images_lr"),
}
"""Names of folders that say nothing about the scene class of the images in them."""
_DEPTH = 4
"""Folders in folders that are passed over at most."""


def find(root: Path) -> Path | None:
    """The folder with the classes or splits; None if the folder is of another format."""
    for _ in range(_DEPTH):
        inside = _folders(root)
        if len(inside) != 1 or _has_images(root):
            break
        [root] = inside
    classes = [path for folder in _split_folders(root) or [root] for path in _folders(folder) if _has_images(path)]
    names = {path.name.lower() for path in classes}
    return root if len(names) > 1 and names.isdisjoint({*_NO_CLASSES, *_SPLITS}) else None


def read(annotations: Path) -> Dataset:
    """Every image of every class."""
    return collect(annotations, _images(annotations), _sample)


def _images(root: Path) -> Iterator[tuple[str, tuple[str | None, Path]]]:
    """(position, (split, image)) for all images, in order of their paths."""
    for folder in _split_folders(root) or [root]:
        split = None if folder == root else _SPLITS[folder.name.lower()]
        for of_class in _folders(folder):
            for image in sorted(path for path in of_class.iterdir() if _is_image(path.name)):
                yield str(image), (split, image)


def _sample(root: Path, found: tuple[str | None, Path]) -> Sample:
    split, image = found
    folder = image.parent.name
    return Sample(image, split or hashed_split(f"{folder}/{image.name}"), (), _scene_class(folder))


def _scene_class(folder: str) -> str:
    """`DenseResidential`, `dense-residential` → `dense residential area`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", folder)
    return readable_name(re.sub(r"[\s_-]+", "_", words).strip("_").lower())


def _split_folders(root: Path) -> list[Path]:
    """The folders that are splits, if there is nothing else."""
    inside = _folders(root)
    return inside if inside and all(path.name.lower() in _SPLITS for path in inside) else []


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def _has_images(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(_is_image(entry.name) for entry in entries)


def _is_image(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")
