"""Layers in any CRS, also where coordinates make no sense, are placed on the scene or reported."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from shapely.geometry import LineString, MultiPolygon, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from rsmoe_cli.prepare.labels import Labels, read_labels
from rsmoe_cli.raster.scene import open_scene
from rsmoe_core.errors import DataError
from tests.cli.rasters import NORTH_UP, rgb

FIELDS = [box(10, 10, 20, 30), box(40, 5, 60, 25)]
"""In pixels of a scene of 70 x 50."""


def on_ground(geometry: BaseGeometry, crs: str = "EPSG:4326") -> BaseGeometry:
    ground = shapely.affinity.affine_transform(geometry, NORTH_UP.to_shapely())
    return geopandas.GeoSeries([ground], crs="EPSG:32631").to_crs(crs)[0]


def labels(
    tmp_path: Path, geometries: list[BaseGeometry | None], layer_crs: str = "EPSG:4326", **profile: object
) -> Labels:
    layer = geopandas.GeoDataFrame({"text": ["x"] * len(geometries)}, geometry=geometries, crs=layer_crs)
    layer.to_file(tmp_path / "labels.gpkg")
    return read_labels(open_scene(rgb(tmp_path / "a.tif", **profile)), tmp_path / "labels.gpkg", ("text",))


def swapped(geometry: BaseGeometry) -> BaseGeometry:
    return shapely.transform(geometry, lambda points: points[:, ::-1])


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32631", "EPSG:3035", "EPSG:4230"])
def test_any_crs_will_do(tmp_path: Path, crs: str) -> None:
    found = labels(tmp_path, [on_ground(field, crs) for field in FIELDS], crs)
    assert found.problems == {}
    for placed, field in zip(found.layer.geometry, FIELDS, strict=True):
        assert placed.symmetric_difference(field).area < 0.02 * field.area


@pytest.mark.parametrize(
    ("geometry", "crs"),
    [
        (Point(1e30, 1e30), "EPSG:4326"),
        (Point(np.inf, 0), "EPSG:4326"),
        (box(-80, 80, 100, 90), "EPSG:4326"),
        (box(-180, -90, 180, 90), "EPSG:4326"),
        (LineString([(3, 36), (93, 0)]), "EPSG:4326"),
        (Polygon([(500_000, 4_000_000), (500_100, 4_000_000), (500_100, 3_999_900)]), "EPSG:4326"),
        (MultiPolygon([box(3, 36, 3.1, 36.1), box(500, 500, 600, 600)]), "EPSG:4326"),
        (Point(9e6, 9e6), "+proj=geos +h=35785831 +ellps=WGS84"),
    ],
    ids=["huge", "infinite", "pole", "world", "half the world", "metres called degrees", "a part", "space"],
)
def test_what_leaves_the_domain_is_left_out(tmp_path: Path, geometry: BaseGeometry, crs: str) -> None:
    found = labels(tmp_path, [geometry], crs)
    assert found.problems == {1: "its coordinates are outside the area of its CRS or of the scene's"}
    assert found.layer.geometry[1] is None


def test_others_are_not_on_the_scene(tmp_path: Path) -> None:
    found = labels(tmp_path, [None, Polygon(), Point(4, 36), on_ground(FIELDS[0])])
    assert found.problems == dict.fromkeys((1, 2, 3), "not on the scene")
    assert found.layer.geometry[4].bounds == pytest.approx((10, 10, 20, 30), abs=0.1)


@pytest.mark.parametrize(
    ("crs", "scene"),
    [("EPSG:4326", {}), ("EPSG:32631", {}), ("EPSG:4326", {"transform": Affine(0.1, 0, 116, 0, -0.1, 40)})],
    ids=["degrees", "metres", "latitude beyond 90"],
)
def test_swapped_axes_are_named(tmp_path: Path, crs: str, scene: dict[str, object]) -> None:
    own = [box(117, 38, 118, 39)] if scene else [on_ground(field, crs) for field in FIELDS]
    with pytest.raises(DataError, match=r"labels\.gpkg: its axes are swapped"):
        labels(tmp_path, [swapped(geometry) for geometry in own], crs, **({"crs": crs} | scene if scene else {}))


def test_longitudes_on_the_other_side_of_180(tmp_path: Path) -> None:
    fiji = {"crs": "EPSG:4326", "transform": Affine(0.1, 0, 177, 0, -0.1, -15)}
    cut = MultiPolygon([box(179, -17, 180, -16), box(-180, -17, -179, -16)])
    found = labels(tmp_path, [cut, Point(-178, -17), Point(0, -17)], **fiji)
    assert found.layer.geometry[1].bounds == pytest.approx((20, 10, 40, 20))
    assert found.layer.geometry[2].coords[0] == pytest.approx((50, 20))
    assert found.problems == {3: "not on the scene"}
