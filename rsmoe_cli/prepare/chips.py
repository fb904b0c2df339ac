"""A scene and a labelled vector layer → pictures with sentences and questions, in the project's plain format.

    layer ──▶ geometries in pixels of the scene ──▶ a square window around each ──▶ picture + what is said of it

A picture is what `rsmoe caption` would show to the model of that window: same bands, mask and stretch, and what was
not observed filled in the same way.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import pyogrio
from PIL import Image
from pyproj.exceptions import ProjError

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import first_line, open_dataset, quiet_gdal
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.grid import Tile
from rsmoe_cli.tiles.image import TileFailure
from rsmoe_cli.tiles.reader import OVERSAMPLING, read_tile
from rsmoe_core.data.base import Question, Sample
from rsmoe_core.data.formats import plain
from rsmoe_core.errors import DataError, UsageError
from rsmoe_core.preprocess import fill_unobserved
from rsmoe_core.questions.types import question_type

if TYPE_CHECKING:
    from rasterio.io import DatasetReader
    from shapely.geometry.base import BaseGeometry

# Pictures within one square of so many times the smallest window are one series: they may show the same ground.
_BLOCK = 4

Skips = list[str]
"""One line for each feature that gave no picture, with its number."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a layer say what there is to learn: a caption, an answer to a question, or both."""

    caption: str | None = None
    """Column of sentences."""
    answer: str | None = None
    """Column of answers: texts, whole numbers, or true and false."""
    question: str = ""
    """What they answer: one question to all features, or the column that has a question for each."""

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that the layer has to have."""
        return tuple(name for name in (self.caption, self.answer) if name is not None)

    def sentence(self, feature: Mapping[Hashable, object]) -> str | None:
        """What is said of a feature, by its columns; None where nothing is."""
        text = feature[self.caption] if self.caption is not None else None
        return _text(text) if isinstance(text, str) else None

    def asked(self, feature: Mapping[Hashable, object]) -> Question | None:
        """What is asked of a feature, and the answer; None where one of them is missing."""
        answer = _text(feature[self.answer]) if self.answer is not None else None
        text = _text(feature.get(self.question, self.question))
        return Question(text, answer, question_type(text)) if text and answer else None


def cut_chips(scene: Scene, labels: Path, columns: Columns, side: int, target: Path) -> tuple[int, Skips]:
    """Cut a picture around each labelled feature into the empty folder `target`; returns how many, and what not.

    A window is a square of at least `side` pixels around the middle of the feature's bounding box in the scene, and as
    large as that box. Features with the same window share a picture. Features without text, off the scene or without
    valid pixels are skipped, and so is what answers a question otherwise than the feature before it in the same window.

    Raises:
        SceneError: the scene does not say where its pixels lie, or says so by control points.
        UsageError: a column is not there.
        DataError: the layer cannot be read or placed, or gives no picture at all.
    """
    layer = _in_pixels(scene, labels, columns.needed)
    texts = " or ".join(name for name in (*columns.needed, columns.question) if name in layer.columns)
    skipped: Skips = []
    features: dict[Tile, list[int]] = defaultdict(list)
    contents = layer.drop(columns=layer.geometry.name).to_dict("index")
    for number, geometry in layer.geometry.items():
        feature = contents[number]
        if columns.sentence(feature) is None and columns.asked(feature) is None:
            skipped.append(f"feature {number}: no text in {texts}")
        elif (tile := _window(scene, geometry, side)) is None:
            skipped.append(f"feature {number}: not on the scene")
        else:
            features[tile].append(number)
    (target / "images").mkdir()
    samples = []
    with quiet_gdal(), open_dataset(scene.path) as dataset:
        for tile, own in features.items():
            image = target / "images" / f"{Path(scene.path).stem}_{own[0]}.png"  # by its first feature's number
            if problem := _cut(dataset, scene, tile, side, image):
                skipped += [f"feature {number}: {problem}" for number in own]
                continue
            captions = tuple(text for number in own if (text := columns.sentence(contents[number])) is not None)
            questions, otherwise = _consistent({number: columns.asked(contents[number]) for number in own})
            skipped += otherwise
            samples.append(Sample(image, "train", captions, group=_series(tile, side), questions=questions))
    if not samples:
        raise DataError(
            f"{labels}: no feature gives a picture of {scene.path} "
            f"({skipped[0] if skipped else 'empty'}); do they overlap?"
        )
    plain.write(target, samples)
    return len(samples), skipped


def _consistent(asked: Mapping[int, Question | None]) -> tuple[tuple[Question, ...], Skips]:
    """Each question of one picture once, with its first answer, and a line for each feature that has another one."""
    first: dict[str, tuple[int, Question]] = {}
    skipped: Skips = []
    for number, question in asked.items():
        if question is None:
            continue
        before, known = first.setdefault(question.text, (number, question))
        if known.answer != question.answer:
            skipped.append(f"feature {number}: answers '{question.text}' otherwise than feature {before}")
    return tuple(question for _, question in first.values()), skipped


def _text(value: object) -> str | None:
    """A cell of a layer in words, in lower case and single spaces; None where it is empty."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float) and math.isfinite(value):  # whole numbers beside empty cells are read as floats
        return f"{value:g}" if value % 1 else str(int(value))
    return (" ".join(value.lower().split()) or None) if isinstance(value, str) else None


def _in_pixels(scene: Scene, labels: Path, columns: Sequence[str]) -> geopandas.GeoDataFrame:
    """The layer with geometries in pixels of the scene: x to the right and y down; the index are feature numbers."""
    ground = scene.georeference
    if ground.kind != "affine" or ground.crs is None:
        raise SceneError(f"{scene.path}: labels need a scene with a CRS and no control points; warp it with gdalwarp")
    try:
        layer = geopandas.read_file(labels, fid_as_index=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError, ValueError) as error:
        raise DataError(
            f"{labels}: cannot be read as a vector layer ({first_line(error)}); check it with ogrinfo"
        ) from error
    if missing := [name for name in columns if name not in layer.columns]:
        known = ", ".join(name for name in layer.columns if name != "geometry")
        raise UsageError(f"{labels}: no column '{missing[0]}'; choose from: {known or 'none there'}")
    if not isinstance(layer, geopandas.GeoDataFrame) or layer.crs is None:
        raise DataError(f"{labels}: no geometries with a CRS; set it in QGIS or with ogr2ogr -a_srs")
    try:
        placed = layer.to_crs(ground.crs)
    except ProjError as error:
        raise DataError(
            f"{labels}: no way to the CRS of {scene.path} ({first_line(error)}); warp it with ogr2ogr"
        ) from error
    return placed.set_geometry(placed.geometry.affine_transform((~ground.transform).to_shapely()))


def _window(scene: Scene, geometry: BaseGeometry | None, side: int) -> Tile | None:
    """The square around a geometry in pixels, clipped to the scene; None where they share nothing."""
    left, top, right, bottom = geometry.bounds if geometry is not None else (math.nan,) * 4
    if not math.isfinite(left + top + right + bottom):  # no geometry, an empty one, or ground without a place here
        return None
    if right < 0 or bottom < 0 or left >= scene.width or top >= scene.height:
        return None
    size = max(side, math.ceil(max(right - left, bottom - top)))
    x, y = (math.floor((low + high - size) / 2 + 0.5) for low, high in ((left, right), (top, bottom)))
    x_0, y_0 = max(0, x), max(0, y)
    width, height = min(x + size, scene.width) - x_0, min(y + size, scene.height) - y_0
    return Tile(0, 0, x_0, y_0, width, height, size, owned=(x_0, y_0, width, height))


def _cut(dataset: DatasetReader, scene: Scene, tile: Tile, side: int, image: Path) -> str | None:
    """Write the picture of a window; returns why not where there is none."""
    result = read_tile(dataset, scene, tile, OVERSAMPLING * side)
    if isinstance(result, TileFailure):
        return result.error
    if not result.valid_pixels:
        return "no valid pixel"
    Image.fromarray(fill_unobserved(result.pixels, result.valid)).save(image)
    return None


def _series(tile: Tile, side: int) -> str:
    return f"{tile.y // (_BLOCK * side)}-{tile.x // (_BLOCK * side)}"
