"""A labelled vector layer → its features in pixels of a scene, with a line for each that has no place there.

Layers may be in any CRS. Features whose coordinates the scene's CRS cannot represent have no place in it, though
projections often return numbers for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import first_line
from rsmoe_cli.raster.scene import Scene
from rsmoe_core.errors import DataError, UsageError

_ROUND_TRIP = 1e-5
"""Share of a layer's largest coordinate by which there and back may differ: 200 m in degrees, 50 m in metres."""
_OUTSIDE = "not on the scene"
_OUT_OF_DOMAIN = "its coordinates are outside the area of its CRS or of the scene's"


@dataclass(frozen=True, eq=False)
class Labels:
    """A layer in pixels of a scene."""

    layer: geopandas.GeoDataFrame
    """x to the right and y down; the index are feature numbers. Features without a place have no geometry."""
    problems: dict[int, str]
    """Number of a feature that has no place on the scene → why."""


def read_labels(scene: Scene, path: Path, columns: Sequence[str]) -> Labels:
    """The features of a layer that has these columns.

    Raises:
        SceneError: the scene has no affine georeference with a CRS.
        UsageError: a column does not exist.
        DataError: the layer cannot be read or transformed, or its axes are swapped.
    """
    georeference = scene.georeference
    if georeference.kind != "affine" or georeference.crs is None:
        raise SceneError(f"{scene.path}: labels need a scene with a CRS and no control points; warp it with gdalwarp")
    layer = _read(path, columns)
    geometries = np.array([shapely.force_2d(one) for one in layer.geometry], object)
    try:
        placed, is_lost = _in_pixels(geometries, layer.crs, scene)
        is_outside = ~_overlap(placed, scene)
        if is_outside.all() and _overlap(_in_pixels(_swapped(geometries), layer.crs, scene)[0], scene).any():
            raise DataError(
                f"{path}: its axes are swapped: x and y change places for it to lie on {scene.path}; "
                f"swap them in QGIS ('Swap X and Y coordinates') and try again"
            )
    except ProjError as error:
        raise DataError(
            f"{path}: cannot be transformed to the CRS of {scene.path} ({first_line(error)}); warp it with ogr2ogr"
        ) from error
    placed[is_outside] = None
    reasons = np.where(is_lost, _OUT_OF_DOMAIN, _OUTSIDE)
    problems = dict(zip(layer.index[is_outside].tolist(), reasons[is_outside].tolist(), strict=True))
    return Labels(layer.set_geometry(geopandas.GeoSeries(placed, index=layer.index)), problems)


def _read(path: Path, columns: Sequence[str]) -> geopandas.GeoDataFrame:
    try:
        layer = geopandas.read_file(path, fid_as_index=True)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read as a vector layer ({first_line(error)}); check it with ogrinfo"
        ) from error
    if missing := [name for name in columns if name not in layer.columns]:
        known = ", ".join(name for name in layer.columns if name != "geometry")
        raise UsageError(f"{path}: no column '{missing[0]}'; choose from: {known or 'none there'}")
    if not isinstance(layer, geopandas.GeoDataFrame) or layer.crs is None:
        raise DataError(f"{path}: no geometries with a CRS; set it in QGIS or with ogr2ogr -a_srs")
    return layer


def _in_pixels(
    geometries: NDArray[np.object_], crs: CRS, scene: Scene
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """N geometries in pixels of the scene, and which have coordinates that cannot be transformed; these become None."""
    scene_crs = scene.georeference.crs
    assert scene_crs is not None, "checked before"
    points, owners = shapely.get_coordinates(geometries, return_index=True)
    with np.errstate(invalid="ignore"):
        xs, ys, is_right = _transformed(points, Transformer.from_crs(crs, scene_crs, always_xy=True), crs.is_geographic)
        is_lost = np.zeros(len(geometries), bool)
        is_lost[owners[~is_right]] = True
        if scene_crs.is_geographic:
            xs = _nearest_longitudes(xs, owners, scene)
        pixels = np.column_stack(~scene.georeference.transform @ (xs, ys))
    kept = geometries.copy()
    kept[is_lost] = None
    return shapely.set_coordinates(kept, pixels[~is_lost[owners]]), is_lost


def _transformed(
    points: NDArray[np.float64], transformer: Transformer, is_geographic: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """x and y of Px2 points, and which of them lead back to where they came from."""
    xs, ys = transformer.transform(*points.T)
    errors = np.abs(np.column_stack(transformer.transform(xs, ys, direction="INVERSE")) - points)
    if is_geographic:
        errors[:, 0] = np.abs((errors[:, 0] + 180) % 360 - 180)
    limit = _ROUND_TRIP * np.abs(points).max(initial=1.0, where=np.isfinite(points))
    return xs, ys, np.isfinite(xs) & np.isfinite(ys) & (errors <= limit).all(axis=1)


def _nearest_longitudes(xs: NDArray[np.float64], owners: NDArray[np.int64], scene: Scene) -> NDArray[np.float64]:
    """Longitudes, moved by whole turns to a scene that reaches beyond 180 degrees, for features that are near it."""
    centre, _ = scene.georeference.transform @ (scene.width / 2, scene.height / 2)
    moved = xs - 360 * np.round((xs - centre) / 360)
    far = np.unique(owners[~(np.abs(moved - centre) < 90)])
    return np.where(np.isin(owners, far), xs, moved)


def _overlap(geometries: NDArray[np.object_], scene: Scene) -> NDArray[np.bool_]:
    """Which of N geometries in pixels have a bounding box that shares pixels with the scene."""
    left, top, right, bottom = shapely.bounds(geometries).T
    with np.errstate(invalid="ignore"):  # NaN for those that are missing or empty
        return (right >= 0) & (bottom >= 0) & (left < scene.width) & (top < scene.height)


def _swapped(geometries: NDArray[np.object_]) -> NDArray[np.object_]:
    return shapely.set_coordinates(geometries.copy(), shapely.get_coordinates(geometries)[:, ::-1])
