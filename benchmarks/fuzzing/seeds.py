"""Small valid inputs to be damaged: rasters of many kinds, a model folder, a data set of each format."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.shutil import copy as copy_raster

WIDTH, HEIGHT = 128, 96

_GEO = {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 4_000_000)}
_TILED = {"tiled": True, "blockxsize": 32, "blockysize": 32}
_GCPS = [
    GroundControlPoint(row, col, 3 + col / 1e4, 36 - row / 1e4)
    for row, col in ((0, 0), (0, WIDTH), (HEIGHT, 0), (HEIGHT, WIDTH))
]


def rasters(folder: Path) -> list[Path]:
    """Write one raster of each kind into `folder`; the VRT refers to the first of them."""
    bytes_CHW = _image().astype(np.uint8)
    floats_CHW = _image().astype(np.float32)
    floats_CHW[:, :20, :20] = np.nan
    inside = np.tri(HEIGHT, WIDTH, 60, dtype=bool)
    alpha_CHW = inside[None] * np.uint8(255)
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "striped": (bytes_CHW, {"photometric": "RGB"}),
        "tiled": (bytes_CHW, {**_TILED, "compress": "deflate"}),
        "lzw": (bytes_CHW, {"compress": "lzw", "predictor": 2, "interleave": "pixel"}),
        "jpeg": (bytes_CHW, {**_TILED, "compress": "jpeg", "photometric": "YCBCR", "interleave": "pixel"}),
        "float": (floats_CHW, {**_TILED, "compress": "zstd"}),
        "sixteen": ((_image() * 40).astype(np.uint16), {"nodata": 0}),
        "palette": (bytes_CHW[:1] // 32, {"photometric": "palette"}),
        "white_is_zero": (bytes_CHW[:1], {"photometric": "MINISWHITE", "compress": "deflate"}),
        "inks": (bytes_CHW[[0, 1, 2, 2]], {**_TILED, "photometric": "CMYK"}),
        "transparent": (np.concatenate([bytes_CHW, alpha_CHW]), {"photometric": "RGB", "alpha": "YES"}),
        "named": (bytes_CHW[[2, 1, 0, 0]], {"photometric": "RGB", "compress": "lzw"}),
        "collar": (np.where(inside, bytes_CHW, 0).astype(np.uint8), {"photometric": "RGB", "compress": "deflate"}),
        "fill": (np.where(inside, floats_CHW, -9999).astype(np.float32), {"compress": "deflate"}),
        "bigtiff": (bytes_CHW, {"bigtiff": "YES", "compress": "packbits"}),
        "gcps": (bytes_CHW, {"crs": None, "transform": None}),
        "masked": (bytes_CHW, {"compress": "deflate"}),
    }
    written = []
    for name, (values_CHW, profile) in kinds.items():
        written.append(folder / f"{name}.tif")
        _write(written[-1], values_CHW, {**_GEO, **profile})
    for name, driver in (("picture.png", "PNG"), ("mosaic.vrt", "VRT"), ("picture.jpg", "JPEG"), ("old.img", "HFA")):
        copy_raster(written[0], folder / name, driver=driver)
        written.append(folder / name)
    return written


def _write(path: Path, values_CHW: Any, profile: dict[str, Any]) -> None:
    count, height, width = values_CHW.shape
    shape = {"count": count, "height": height, "width": width, "dtype": values_CHW.dtype}
    with rasterio.open(
        path, "w", driver="GTiff", **shape, **{k: v for k, v in profile.items() if v is not None}
    ) as out:
        out.write(values_CHW)
        if path.stem == "gcps":
            out.gcps = _GCPS, rasterio.crs.CRS.from_epsg(4326)
        if path.stem == "palette":
            out.write_colormap(1, {number: (number * 30, 255 - number * 30, 60, 255) for number in range(8)})
        if path.stem == "named":
            for number, band in enumerate(("blue", "green", "red", "nir"), start=1):
                out.set_band_description(number, band)
        if path.stem == "masked":
            out.write_mask(np.tri(height, width, 20, dtype=np.uint8) * 255)
            out.build_overviews([2, 4])


def _image() -> Any:
    """CxHxW, 0-255: gradients with noise."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    smooth = np.stack([x, y, x + y]) % 200
    return np.clip(smooth + np.random.default_rng(0).integers(0, 50, smooth.shape), 0, 255)


def model(folder: Path) -> list[Path]:
    """Write a tiny model with random weights; returns its files."""
    import dataclasses

    import torch

    from rsmoe_core.checkpoint.load import save_model
    from rsmoe_core.model.rsmoe import build
    from rsmoe_core.model.tokenizer import Tokenizer
    from rsmoe_core.presets import tiny

    torch.manual_seed(0)
    config = tiny()
    tokenizer = Tokenizer.train(["many green trees are near a pond .", "a river"], 512, config.experts)
    language = dataclasses.replace(config.language, vocab_size=len(tokenizer))
    made = build(dataclasses.replace(config, language=language), tokenizer)
    made.add_experts()
    save_model(made, folder)
    return sorted(path for path in folder.rglob("*") if path.is_file())


_QUESTION = {"question": "is it a road?", "answer": "yes", "type": "presence"}
DATASETS: dict[str, dict[str, Any]] = {
    "plain": {
        "annotations.jsonl": {
            "image": "a.png",
            "split": "train",
            "captions": ["a road ."],
            "scene_class": "road",
            "group": "a",
            "objects": "a road",
            "questions": [{"text": "is it a road?", "answer": "yes", "type": "presence"}],
            "boxes": {"label": "ship", "cxcywh": [[1, 2, 3, 4]]},
            "metres_per_pixel": 1.0,
        }
    },
    "nwpu": {"dataset_nwpu.json": {"road": [{"filename": "a.png", "split": "train", "raw": "a road ."}]}},
    "karpathy": {
        "dataset_a.json": {
            "images": [
                {"filename": "a.png", "filepath": "", "split": "train", "sentences": [{"raw": "a road ."}]},
                {"filename": "b.jpg", "filepath": "", "split": "val", "sentences": [{"raw": "a bend ."}]},
            ]
        }
    },
    "rsicap": {
        "captions.json": {"annotations": [{"filename": f, "text_output": "a road ."} for f in ("a.png", "b.jpg")]}
    },
    "rsieval": {
        "annotations.json": {"annotations": [{"filename": "a.png", "caption": "a road .", "qa_pairs": [_QUESTION]}]}
    },
    "rsvqa": {
        "LR_split_train_images.json": {"images": [{"id": 0, "questions_ids": [0], "active": True}]},
        "LR_split_train_questions.json": {
            "questions": [
                {"id": 0, "img_id": 0, "type": "count", "question": "how many?", "answers_ids": [0], "active": True}
            ]
        },
        "LR_split_train_answers.json": {"answers": [{"id": 0, "question_id": 0, "answer": "7", "active": True}]},
    },
    "vrsbench": {"Annotations_val/a.json": {"image": "a.png", "caption": "a road .", "qa_pairs": [_QUESTION]}},
    "boxes": {
        "objects.json": [
            {"image": f, "split": "train", "label": "ship", "polygons": [[0, 0, 2, 0, 2, 2]]}
            for f in ("a.png", "b.jpg")
        ]
    },
    "ucm": {
        "annotations.json": [
            {
                "image": "a.png",
                "scene": "river",
                "captions": ["a river ."],
                "objects": ["water"],
                "qa": [["Is it a river?", "yes"]],
            }
        ]
    },
}
"""The annotations of each format that uses JSON: file → content, about one or two images."""


_LINES = {"rsivqa": {"a.txt": "a.png:is it a road?yes\nb.jpg:how many roads?2\n"}}
IMAGES = ("a.png", "b.jpg", "0.tif", "Images_val/a.png", "road/a.png")
"""The images of a data set, where the formats look for them."""
FOLDERS = "scene_folders"
"""The format without annotations."""
_FOLDER_IMAGES = tuple(
    f"{split}/{scene}/{image}"
    for split in ("train", "test")
    for scene in ("DenseForest", "river")
    for image in IMAGES[:3]
)
FORMATS = (*DATASETS, *_LINES, FOLDERS)
"""Names of the formats."""


def dataset(folder: Path, name: str, change: Callable[[Any], Any] = lambda value: value) -> None:
    """Write a data set in one of `FORMATS`; `change` modifies the values of its annotations."""
    images(folder, _FOLDER_IMAGES if name == FOLDERS else IMAGES)
    for file, content in {**DATASETS, **_LINES, FOLDERS: {}}[name].items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(change(copy.deepcopy(content)))
        (folder / file).write_text(text)


_EXIF: Any = b"Exif\0\0II*\0\x08\0\0\0" + bytes(60)


def images(folder: Path, names: Sequence[str] = IMAGES) -> None:
    """Write images of one colour, such as those of every data set."""
    from PIL import Image

    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        exif = {"exif": _EXIF} if name.endswith("jpg") else {}
        Image.new("RGB", (8, 8), (9, 90, 20)).save(folder / name, **exif)
