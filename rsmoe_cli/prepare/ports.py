"""Satellite scenes of ports with labelled ships → pictures with sentences, in the project's plain format.

A scene `NAME.tif` with blue, green, red and near-infrared bands has its ships in `NAME.vessels.json`:
`{"bbox_xywh_px": [[x, y, width, height], ...]}`, in pixels of the scene. Random windows of several sizes are cut, drawn
as `rsmoe caption` draws the scene, and described from their ships and either a map of the
land cover (`rsmoe_core.data.land_cover`) or, without one, water and vegetation (`rsmoe_core.data.templates`). The
whole scenes are there too, without sentences but with every ship boxed, for the counter to learn from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

from rsmoe_cli.atomic import atomic_folder
from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import open_dataset, quiet_gdal
from rsmoe_cli.raster.scene import open_scene, read_pixels
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

_WINDOW_SIDES = (64, 96, 160, 224, 320)
_PICTURE_SIDE = 224
# One window for so many pixels of the scene.
_PIXELS_PER_WINDOW = 6000
# Red and near infrared tell plants (NDVI) from the rest.
_GREEN_NDVI = 0.25


@dataclass(frozen=True, eq=False)
class _Port:
    """A whole scene, small enough to be held in memory."""

    name: str
    picture_HWC: NDArray[np.uint8]
    water_HW: NDArray[np.bool_]
    green_HW: NDArray[np.bool_]
    ships_N4: NDArray[np.float64]
    """Centre x, centre y, width and height of each ship, in pixels of the scene."""
    metres_per_pixel: float | None
    """Ground sample distance."""
    land_cover: LandCoverMap | None
    """Its land cover, if a map of it is given."""

    @property
    def ships_N2(self) -> NDArray[np.float64]:
        """The centres alone."""
        return self.ships_N4[:, :2]


def prepare_ports(
    source: Path,
    target: Path,
    *,
    seed: int = 0,
    leave_out: tuple[str, ...] = (),
    scenes: Path | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Cut windows of every port in `source` into the folder `target`; returns how many.

    Ports named in `leave_out` get the split `val`, all others `train`. `scenes` is a file of land-cover maps
    (`rsmoe_core.data.land_cover`), for all ports or some of them; `say` is told of those of other scenes. The folder
    appears whole or not at all. Raises OutputError where it holds something already, UsageError where a port to leave
    out is not there, SceneError where there is no labelled scene, one lacks a band, its labels cannot be read or its
    map is of another size, and DataError where the maps cannot be read.
    """
    maps = {} if scenes is None else read_land_cover_maps(scenes)
    paths = _labelled(source, leave_out)
    for name in sorted(maps.keys() - {path.stem for path in paths}):
        say(f"{scenes}: the map of {name} is left out, as there is no such port in {source}")
    samples: list[Sample] = []
    with atomic_folder(target) as folder:
        for number, path in enumerate(paths):
            split = "val" if path.stem in leave_out else "train"
            port = _read(path, maps.get(path.stem))
            samples += _cut(port, folder, split, np.random.default_rng((seed, number)))
            samples.append(_whole(port, folder, split))
        plain.write(folder, samples)
    return len(samples)


def _labelled(source: Path, leave_out: tuple[str, ...]) -> list[Path]:
    """The scenes that have labels. Raises SceneError where there are none, UsageError for an unknown name."""
    scenes = [path for path in sorted(source.glob("*.tif")) if path.with_suffix(".vessels.json").is_file()]
    if not scenes:
        raise SceneError(f"{source}: no NAME.tif with a NAME.vessels.json beside it")
    names = [path.stem for path in scenes]
    if unknown := sorted(set(leave_out).difference(names)):
        raise UsageError(f"no port '{unknown[0]}' to leave out; choose from: {', '.join(names)}")
    return scenes


def _read(path: Path, land_cover: LandCoverMap | None) -> _Port:
    scene = open_scene(str(path))
    if land_cover is not None and not land_cover.covers(scene.height, scene.width):
        raise SceneError(
            f"{path}: has {scene.height} x {scene.width} pixels, but its land-cover map {len(land_cover.rows)} x "
            f"{len(land_cover.rows[0])} cells of {land_cover.cell}; give --scenes a map of this scene"
        )
    with quiet_gdal(), open_dataset(str(path)) as dataset:
        named = {(text or "").lower(): index for index, text in zip(dataset.indexes, dataset.descriptions, strict=True)}
        bands = {word: _band(named, word, path) for word in ("blue", "green", "red", "near infrared")}
        red_HW, infrared_HW = (dataset.read(bands[word]).astype(np.float32) for word in ("red", "near infrared"))
        picture_HWC = read_pixels(dataset, scene, Window(0, 0, scene.width, scene.height))
    green_HW = (infrared_HW - red_HW) > _GREEN_NDVI * (infrared_HW + red_HW)
    brightness_HW = np.sqrt(infrared_HW.clip(min=0))
    water_HW = (brightness_HW < _otsu(brightness_HW)) & ~green_HW
    metres = scene.georeference.metres_per_pixel(scene.width, scene.height)
    return _Port(
        path.stem, picture_HWC, water_HW, green_HW, _ships(path.with_suffix(".vessels.json")), metres, land_cover
    )


def _ships(labels: Path) -> NDArray[np.float64]:
    """N4 as (centre x, centre y, width, height). Raises SceneError."""
    try:
        boxes_N4 = np.array(json.loads(labels.read_text())["bbox_xywh_px"], np.float64).reshape(-1, 4)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SceneError(f"{labels}: no ship labels ({error!r}); expected bbox_xywh_px: [[x, y, w, h]]") from error
    return np.hstack([boxes_N4[:, :2] + boxes_N4[:, 2:] / 2, boxes_N4[:, 2:]])


def _band(named: dict[str, int], word: str, path: Path) -> int:
    """The band whose description ends with the word, as `B04 red` does."""
    for description, index in named.items():
        if description.endswith(word) and (word != "red" or "infrared" not in description):
            return index
    raise SceneError(f"{path}: no band is described as {word}; ports need blue, green, red and near infrared")


def _otsu(values: NDArray[np.float32]) -> float:
    """The threshold that best divides the values into two classes (Otsu 1979): water is dark in near infrared."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * centres).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1:][np.nan_to_num(between).argmax()])  # NaN where one class is empty


def _cut(port: _Port, target: Path, split: str, rng: np.random.Generator) -> Iterator[Sample]:
    height, width = port.water_HW.shape
    for number in range(height * width // _PIXELS_PER_WINDOW):
        side = min(int(rng.choice(_WINDOW_SIDES)), height, width)
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        inside = (slice(top, top + side), slice(left, left + side))
        offsets_N2 = port.ships_N2 - (left, top)
        ships = int(((offsets_N2 >= 0) & (offsets_N2 < side)).all(axis=1).sum())
        kind, sentences = _told(port, top, left, side, ships)
        image = target / f"{port.name}_{number:04d}.png"
        picture = Image.fromarray(port.picture_HWC[inside])
        picture.resize((_PICTURE_SIDE, _PICTURE_SIDE), Image.Resampling.BICUBIC).save(image)
        objects = counted(ships, "ship") if ships else None
        yield Sample(image, split, tuple(sentences), kind, port.name, objects, synthetic=True)


def _told(port: _Port, top: int, left: int, side: int, ships: int) -> tuple[str, list[str]]:
    """The kind of place that a window shows, and sentences about it."""
    if port.land_cover is not None:
        land_cover = LandCover(port.land_cover.shares(top, left, side), ships)
        return land_cover_scene_class(land_cover), land_cover_sentences(land_cover)
    inside = (slice(top, top + side), slice(left, left + side))
    window = _measure(port.water_HW[inside], port.green_HW[inside], ships)
    return coast_scene_class(window), coast_sentences(window)


def _whole(port: _Port, target: Path, split: str) -> Sample:
    image = target / f"{port.name}.png"
    Image.fromarray(np.ascontiguousarray(port.picture_HWC)).save(image)
    marks = Boxes("ship", tuple((x, y, width, height) for x, y, width, height in port.ships_N4.tolist()))
    return Sample(image, split, (), group=port.name, boxes=marks, metres_per_pixel=port.metres_per_pixel)


def _measure(water_HW: NDArray[np.bool_], green_HW: NDArray[np.bool_], ships: int) -> CoastWindow:
    land = max(1, int((~water_HW).sum()))
    return CoastWindow(water=float(water_HW.mean()), vegetation=float(green_HW.sum() / land), ships=ships)
