"""A scene and a labelled vector layer → pictures with sentences, in the project's plain format.

    layer ──▶ geometries in pixels of the scene ──▶ a square window around each ──▶ picture + sentence

A picture is what `rsmoe caption` would show to the model of that window: same bands, mask and stretch, and what was
not observed filled in the same way.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas
import pyogrio
from PIL import Image
from pyproj.exceptions import ProjError

from rsmoe_cli.errors import SceneError
from rsmoe_cli.opening import first_line, open_dataset, quiet_gdal
from rsmoe_cli.raster import Scene
from rsmoe_cli.reading import DETAIL, TileFailure, read_tile
from rsmoe_cli.tiling import Tile
from rsmoe_core.data import Sample, plain
from rsmoe_core.errors import DataError, UsageError
from rsmoe_core.preprocess import fill_unobserved

if TYPE_CHECKING:
    from rasterio.io import DatasetReader
    from shapely.geometry.base import BaseGeometry

# Pictures within one square of so many times the smallest window are one series: they may show the same ground.
_BLOCK = 4

Skips = list[str]
"""One line for each feature that gave no picture, with its number."""


def cut_chips(scene: Scene, labels: Path, column: str, side: int, target: Path) -> tuple[int, Skips]:
    """Cut a picture around each labelled feature into the empty folder `target`; returns how many, and what not.

    A window is a square of at least `side` pixels around the middle of the feature's bounding box in the scene, and as
    large as that box. Features with the same window share a picture. Features without text, off the scene or without
    valid pixels are skipped.

    Raises:
        SceneError: the scene does not say where its pixels lie, or says so by control points.
        UsageError: there is no such column.
        DataError: the layer cannot be read or placed, or gives no picture at all.
    """
    layer = _in_pixels(scene, labels, column)
    skipped: Skips = []
    texts: dict[Tile, list[tuple[object, str]]] = {}
    for number, geometry, text in zip(layer.index, layer.geometry, layer[column], strict=True):
        if not isinstance(text, str) or not text.strip():
            skipped.append(f"feature {number}: no text in {column}")
        elif (tile := _window(scene, geometry, side)) is None:
            skipped.append(f"feature {number}: not on the scene")
        else:
            texts.setdefault(tile, []).append((number, text))
    (target / "images").mkdir()
    samples = []
    with quiet_gdal(), open_dataset(scene.path) as dataset:
        for tile, told in texts.items():
            image = target / "images" / f"{Path(scene.path).stem}_{told[0][0]}.png"  # by its first feature's number
            if problem := _cut(dataset, scene, tile, side, image):
                skipped += [f"feature {number}: {problem}" for number, _ in told]
            else:
                samples.append(Sample(image, "train", tuple(text for _, text in told), series=_series(tile, side)))
    if not samples:
        raise DataError(
            f"{labels}: no feature gives a picture of {scene.path} "
            f"({skipped[0] if skipped else 'empty'}); do they overlap?"
        )
    plain.write(target, samples)
    return len(samples), skipped


def _in_pixels(scene: Scene, labels: Path, column: str) -> geopandas.GeoDataFrame:
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
    if column not in layer.columns:
        known = ", ".join(name for name in layer.columns if name != "geometry")
        raise UsageError(f"{labels}: no column '{column}'; choose from: {known or 'none there'}")
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
    return Tile(0, 0, x_0, y_0, width, height, size, own=(x_0, y_0, width, height))


def _cut(dataset: DatasetReader, scene: Scene, tile: Tile, side: int, image: Path) -> str | None:
    """Write the picture of a window; returns why not where there is none."""
    result = read_tile(dataset, scene, tile, DETAIL * side)
    if isinstance(result, TileFailure):
        return result.error
    if not result.valid_pixels:
        return "no valid pixel"
    Image.fromarray(fill_unobserved(result.pixels, result.valid)).save(image)
    return None


def _series(tile: Tile, side: int) -> str:
    return f"{tile.y // (_BLOCK * side)}-{tile.x // (_BLOCK * side)}"
