"""Satellite scenes of ports with labelled ships → images with captions, in the project's plain format.

A scene `NAME.tif` with blue, green, red and near-infrared bands has its ships in `NAME.vessels.json`:
`{"bbox_xywh_px": [[x, y, width, height], ...]}`, in pixels of the scene. Random windows of several sizes are cut, with
the colours that `rsmoe caption` would use. Their captions are made from the ships and either a map of the land cover
(`rsmoe_core.data.land_cover`) or, without one, from water and vegetation (`rsmoe_core.data.templates`).

The whole scenes are included too, without captions but with a box for every ship, to train the detector.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

from rsmoe_cli.atomic import atomic_folder
from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.scene import checked_scene, read_pixels
from rsmoe_core.data.base import Boxes, Sample
from rsmoe_core.data.formats import plain
from rsmoe_core.data.land_cover import (
    LandCover,
    LandCoverMap,
    land_cover_scene_class,
    land_cover_sentences,
    read_land_cover_maps,
)
from rsmoe_core.data.templates import CoastWindow, coast_scene_class, coast_sentences
from rsmoe_core.errors import UsageError
from rsmoe_core.words.grammar import counted

_BANDS = ("blue", "green", "red", "near infrared")
"""How the descriptions of the bands end."""
_WINDOW_SIDES = (64, 96, 160, 224, 320)
"""Sides of the windows, in pixels of the scene."""
_IMAGE_SIDE = 224
"""Side of the images that windows are resized to, in pixels."""
_PIXELS_PER_WINDOW = 6000
"""Pixels of a scene for each window that is cut from it."""
_VEGETATION_NDVI = 0.25
"""Vegetation has a higher normalised difference of near infrared and red."""


@dataclass(frozen=True, eq=False)
class _Port:
    """A whole scene in memory."""

    name: str
    image_HWC: NDArray[np.uint8]
    water_HW: NDArray[np.bool_]
    vegetation_HW: NDArray[np.bool_]
    ships_N4: NDArray[np.float64]
    """Centre x, centre y, width and height of each ship, in pixels of the scene."""
    metres_per_pixel: float | None
    """Ground sample distance; None if it is unknown."""
    land_cover: LandCoverMap | None
    """Its land-cover map; None if there is none."""


def prepare_ports(
    source: Path,
    target: Path,
    *,
    seed: int = 0,
    leave_out: tuple[str, ...] = (),
    land_cover: Path | None = None,
    warn: Callable[[str], None] = print,
) -> int:
    """Cut windows of all ports into a new folder, which appears complete or not at all; returns how many.

    Args:
        source: Folder of the labelled scenes.
        target: The new folder.
        seed: Seed of the choice of windows.
        leave_out: Names of the ports of the split `val`; all others are in `train`.
        land_cover: File with the land-cover maps of some or all ports.
        warn: Called with a line for each map that belongs to none of the ports.

    Raises:
        OutputError: the target holds something already, or cannot be written.
        UsageError: a port to leave out does not exist.
        SceneError: there is no labelled scene, or one lacks a band, has unreadable labels or a map of another size.
        DataError: the maps cannot be read.
    """
    maps = {} if land_cover is None else read_land_cover_maps(land_cover)
    paths = _labelled_scenes(source, leave_out)
    for name in sorted(maps.keys() - {path.stem for path in paths}):
        warn(f"{land_cover}: the map of {name} is not used, as there is no such port in {source}")
    samples: list[Sample] = []
    with atomic_folder(target) as folder:
        for number, path in enumerate(paths):
            split = "val" if path.stem in leave_out else "train"
            port = _read_port(path, maps.get(path.stem))
            samples += _cut_windows(port, folder, split, np.random.default_rng((seed, number)))
            samples.append(_whole_scene(port, folder, split))
        plain.write(folder, samples)
    return len(samples)


def _labelled_scenes(source: Path, leave_out: tuple[str, ...]) -> list[Path]:
    scenes = [path for path in sorted(source.glob("*.tif")) if path.with_suffix(".vessels.json").is_file()]
    if not scenes:
        raise SceneError(f"{source}: no NAME.tif with a NAME.vessels.json beside it")
    names = [path.stem for path in scenes]
    if unknown := sorted(set(leave_out).difference(names)):
        raise UsageError(f"no port '{unknown[0]}' to leave out; choose from: {', '.join(names)}")
    return scenes


def _read_port(path: Path, land_cover: LandCoverMap | None) -> _Port:
    with checked_scene(str(path)) as file:
        scene, dataset = file.scene(), file.dataset
        if land_cover is not None and not land_cover.covers(scene.height, scene.width):
            raise SceneError(
                f"{path}: has {scene.height} x {scene.width} pixels, but its land-cover map {len(land_cover.rows)} x "
                f"{len(land_cover.rows[0])} cells of {land_cover.cell}; give --land-cover a map of this scene"
            )
        descriptions = {
            (text or "").lower(): index for index, text in zip(dataset.indexes, dataset.descriptions, strict=True)
        }
        bands = {name: _find_band(descriptions, name, path) for name in _BANDS}
        red_HW, infrared_HW = (dataset.read(bands[name]).astype(np.float32) for name in ("red", "near infrared"))
        image_HWC = read_pixels(dataset, scene, Window(0, 0, scene.width, scene.height))
    vegetation_HW = (infrared_HW - red_HW) > _VEGETATION_NDVI * (infrared_HW + red_HW)
    brightness_HW = np.sqrt(infrared_HW.clip(min=0))
    return _Port(
        name=path.stem,
        image_HWC=image_HWC,
        water_HW=(brightness_HW < _otsu_threshold(brightness_HW)) & ~vegetation_HW,
        vegetation_HW=vegetation_HW,
        ships_N4=_read_ships(path.with_suffix(".vessels.json")),
        metres_per_pixel=scene.metres_per_pixel,
        land_cover=land_cover,
    )


def _find_band(descriptions: Mapping[str, int], name: str, path: Path) -> int:
    """Number of the band whose description ends with the name, as that of `B04 red` does."""
    for description, index in descriptions.items():
        if description.endswith(name) and (name != "red" or "infrared" not in description):
            return index
    raise SceneError(f"{path}: no band is described as {name}; ports need blue, green, red and near infrared")


def _read_ships(labels: Path) -> NDArray[np.float64]:
    """N4 as (centre x, centre y, width, height)."""
    try:
        boxes_N4 = np.array(json.loads(labels.read_text())["bbox_xywh_px"], np.float64).reshape(-1, 4)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SceneError(f"{labels}: no ship labels ({error!r}); expected bbox_xywh_px: [[x, y, w, h]]") from error
    return np.hstack([boxes_N4[:, :2] + boxes_N4[:, 2:] / 2, boxes_N4[:, 2:]])


def _otsu_threshold(values: NDArray[np.float32]) -> float:
    """The threshold that best separates two classes (Otsu 1979); water is dark in the near infrared."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * centres).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1:][np.nan_to_num(variance).argmax()])  # NaN where one class is empty


def _cut_windows(port: _Port, target: Path, split: str, rng: np.random.Generator) -> Iterator[Sample]:
    height, width = port.water_HW.shape
    for number in range(height * width // _PIXELS_PER_WINDOW):
        side = min(int(rng.choice(_WINDOW_SIDES)), height, width)
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        offsets_N2 = port.ships_N4[:, :2] - (left, top)
        ships = int(((offsets_N2 >= 0) & (offsets_N2 < side)).all(axis=1).sum())
        scene_class, captions = _describe(port, top, left, side, ships)
        path = target / f"{port.name}_{number:04d}.png"
        image = Image.fromarray(port.image_HWC[top : top + side, left : left + side])
        image.resize((_IMAGE_SIDE, _IMAGE_SIDE), Image.Resampling.BICUBIC).save(path)
        yield Sample(
            path,
            split,
            tuple(captions),
            scene_class=scene_class,
            group=port.name,
            objects=counted(ships, "ship") if ships else None,
            synthetic=True,
        )


def _describe(port: _Port, top: int, left: int, side: int, ships: int) -> tuple[str, list[str]]:
    """The scene class of a window, and captions for it."""
    if port.land_cover is not None:
        land_cover = LandCover(port.land_cover.shares(top, left, side), ships)
        return land_cover_scene_class(land_cover), land_cover_sentences(land_cover)
    inside = (slice(top, top + side), slice(left, left + side))
    water_HW, vegetation_HW = port.water_HW[inside], port.vegetation_HW[inside]
    land = max(1, int((~water_HW).sum()))
    window = CoastWindow(water=float(water_HW.mean()), vegetation=float(vegetation_HW.sum() / land), ships=ships)
    return coast_scene_class(window), coast_sentences(window)


def _whole_scene(port: _Port, target: Path, split: str) -> Sample:
    path = target / f"{port.name}.png"
    Image.fromarray(np.ascontiguousarray(port.image_HWC)).save(path)
    boxes = Boxes("ship", tuple((x, y, width, height) for x, y, width, height in port.ships_N4.tolist()))
    return Sample(path, split, (), group=port.name, boxes=boxes, metres_per_pixel=port.metres_per_pixel)
