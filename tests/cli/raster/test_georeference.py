"""Footprints against computations that share no code with the project: affine by hand, pyproj, a linear GCP field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Proj, Transformer
from rasterio.control import GroundControlPoint
from shapely.geometry import Polygon

from rsmoe_cli.raster.georeference import Footprints, Georeference
from rsmoe_cli.raster.scene import open_scene
from tests.cli.rasters import CUSTOM_CRS, NORTH_UP, SITE_CRS, noise, rgb, rotated, write_raster

BOX = (20, 10, 30, 40)
CORNERS = [(20, 10), (50, 10), (50, 50), (20, 50)]


def footprint_of(a: float, b: float, c: float, d: float, e: float, f: float) -> Polygon:
    return Polygon([(a * x + b * y + c, d * x + e * y + f) for x, y in CORNERS])


def test_north_up(tmp_path: Path) -> None:
    georeference = open_scene(rgb(tmp_path / "a.tif")).georeference
    footprint = Footprints(georeference, georeference.crs).of(BOX)
    assert isinstance(footprint, Polygon)
    assert footprint.bounds == (500_200, 3_999_500, 500_500, 3_999_900)
    assert len(footprint.exterior.coords) == 5
    assert footprint.exterior.is_ccw


def test_rotated(tmp_path: Path) -> None:
    georeference = open_scene(rgb(tmp_path / "a.tif", transform=rotated(30))).georeference
    footprint = Footprints(georeference, georeference.crs).of(BOX)
    cos, sin = 10 * np.sqrt(3) / 2, 10 * 0.5
    # 30 degrees counter-clockwise: columns run along (cos, sin), rows along (sin, -cos).
    assert footprint is not None
    assert footprint.symmetric_difference(footprint_of(cos, sin, 500_000, sin, -cos, 4_000_000)).area < 1e-3
    assert footprint.area == pytest.approx(30 * 40 * 100)


@pytest.mark.parametrize("crs", ["EPSG:4326", None])
def test_ground_control_points(tmp_path: Path, crs: str | None) -> None:
    points = [
        GroundControlPoint(row=row, col=col, x=3 + 0.001 * col + 0.0002 * row, y=36 + 0.0001 * col - 0.002 * row)
        for row in (0, 25, 60)
        for col in (0, 40, 80)
    ]
    path = write_raster(tmp_path / "a.tif", noise(3, 60, 80), "red green blue", gcps=(points, crs), photometric="RGB")
    scene = open_scene(path)
    assert scene.georeference.kind == "gcps"
    assert (scene.georeference.crs is None) == (crs is None)
    assert any("no coordinate reference system" in note for note in scene.notes) == (crs is None)
    footprint = Footprints(scene.georeference, scene.georeference.crs).of(BOX)
    assert footprint is not None
    expected = footprint_of(0.001, 0.0002, 3, 0.0001, -0.002, 36)
    assert footprint.symmetric_difference(expected).area / expected.area < 1e-6


def test_custom_projection_to_longitude_and_latitude(tmp_path: Path) -> None:
    georeference = open_scene(rgb(tmp_path / "a.tif", crs=CUSTOM_CRS)).georeference
    footprint = Footprints(georeference, CRS.from_epsg(4326)).of(BOX)
    by_hand = Proj("+proj=sterea +lat_0=36.1 +lon_0=3.2 +k=0.9999 +x_0=500000 +y_0=4000000 +ellps=WGS84")
    expected = Polygon([by_hand(500_000 + 10 * x, 4_000_000 - 10 * y, inverse=True) for x, y in CORNERS])
    assert footprint is not None
    assert footprint.symmetric_difference(expected).area / expected.area < 1e-6
    assert footprint.contains(footprint.centroid)


def test_no_georeference_is_pixels_and_noted(tmp_path: Path) -> None:
    scene = open_scene(rgb(tmp_path / "a.tif", crs=None, transform=Affine.identity()))
    assert scene.georeference.kind == "pixels"
    assert any("in pixels" in note for note in scene.notes)
    footprint = Footprints(scene.georeference, None).of(BOX)
    assert footprint is not None
    assert footprint.bounds == (20, 10, 50, 50)
    assert scene.georeference.metres_per_pixel(70, 50) is None


def test_transform_without_crs_keeps_the_coordinates(tmp_path: Path) -> None:
    scene = open_scene(rgb(tmp_path / "a.tif", crs=None))
    assert scene.georeference.kind == "affine"
    assert scene.georeference.crs is None
    assert any("no coordinate reference system" in note for note in scene.notes)


@settings(max_examples=40, deadline=None)
@given(
    col=st.integers(0, 9),
    row=st.integers(0, 9),
    size=st.integers(10, 300),
    angle=st.floats(0, 360),
    target=st.sampled_from(["EPSG:32631", "EPSG:4326", "EPSG:3035"]),
)
def test_neighbours_share_their_edge_whatever_the_mapping(
    col: int, row: int, size: int, angle: float, target: str
) -> None:
    transform = rotated(angle, pixel=30)
    footprints = Footprints(Georeference(transform, crs=CRS.from_epsg(32631)), CRS.from_user_input(target))
    left = footprints.of((col * size, row * size, size, size))
    right = footprints.of(((col + 1) * size, row * size, size, size))
    assert left is not None
    assert right is not None
    assert left.is_valid
    assert left.intersection(right).area < 1e-9 * left.area
    assert left.union(right).area == pytest.approx(left.area + right.area)
    assert left.distance(right) < 1e-9 * left.length


def test_edges_bend_with_the_projection() -> None:
    polar = Georeference(Affine(1000, 0, 200_000, 0, -1000, 900_000), crs=CRS.from_epsg(3413))
    footprint = Footprints(polar, CRS.from_epsg(4326)).of((0, 0, 200, 200))
    assert isinstance(footprint, Polygon)
    assert len(footprint.exterior.coords) > 20
    lon, lat = Transformer.from_crs(3413, 4326, always_xy=True).transform(300_000, 900_000)
    assert footprint.exterior.distance(Polygon([(lon, lat)] * 3).centroid) < 0.05


def test_antimeridian_is_cut_in_two() -> None:
    fiji = Georeference(Affine(100, 0, 790_000, 0, -100, 8_000_000), crs=CRS.from_epsg(32760))
    parts = Footprints(fiji, CRS.from_epsg(4326)).of((0, 0, 500, 500))
    assert parts is not None
    assert parts.geom_type == "MultiPolygon"
    west, east = sorted(parts.geoms, key=lambda part: part.bounds[0])
    assert west.bounds[0] == -180
    assert east.bounds[2] == 180
    assert west.bounds[2] - west.bounds[0] < 1
    assert all(part.exterior.is_ccw for part in parts.geoms)


def test_longitudes_beyond_180_come_back_into_the_world() -> None:
    pacific = Georeference(Affine(0.1, 0, 200, 0, -0.1, 10), crs=CRS.from_epsg(4326))
    footprint = Footprints(pacific, CRS.from_epsg(4326)).of((0, 0, 10, 10))
    assert footprint is not None
    assert footprint.bounds == pytest.approx((-160, 9, -159, 10))


def test_pole_is_enclosed() -> None:
    polar = Georeference(Affine(1000, 0, -100_000, 0, -1000, 100_000), crs=CRS.from_epsg(3413))
    footprint = Footprints(polar, CRS.from_epsg(4326)).of((0, 0, 200, 200))
    assert footprint is not None
    assert footprint.is_valid
    assert footprint.bounds[0] == pytest.approx(-180)
    assert footprint.bounds[2:] == pytest.approx((180, 90))
    assert footprint.area > 360 * 0.8


def test_undefined_ground_has_no_footprint() -> None:
    disk = CRS.from_proj4("+proj=geos +h=35785831 +lon_0=0 +clean_stale=y +ellps=WGS84")
    full_disk = Georeference(Affine(11_000, 0, -5_500_000, 0, -11_000, 5_500_000), crs=disk)
    footprints = Footprints(full_disk, CRS.from_epsg(4326))
    assert footprints.of((0, 0, 100, 100)) is None
    assert footprints.of((450, 450, 100, 100)) is not None


def test_a_point_lies_in_its_pixel_and_within_the_world() -> None:
    utm = Georeference(NORTH_UP, crs=CRS.from_epsg(32631))
    own = Footprints(utm, None).point(2.5, 1)
    assert own is not None
    assert (own.x, own.y) == (500_025, 3_999_990)
    dateline = Georeference(Affine(0.1, 0, 179, 0, -0.1, 10), crs=CRS.from_epsg(4326))
    east = Footprints(dateline, CRS.from_epsg(4326)).point(15, 10)
    assert east is not None
    assert (east.x, east.y) == pytest.approx((-179.5, 9))
    full_disk = CRS.from_user_input("+proj=geos +h=35785831 +clean_stale=y +ellps=WGS84")
    space = Georeference(Affine(11_000, 0, -5_500_000, 0, -11_000, 5_500_000), crs=full_disk)
    assert Footprints(space, CRS.from_epsg(4326)).point(0, 0) is None


def test_metres_per_pixel_are_on_the_ground() -> None:
    utm = Georeference(NORTH_UP, crs=CRS.from_epsg(32631)).metres_per_pixel(100, 100)
    assert utm == pytest.approx(10, rel=1e-3)
    degrees = Georeference(Affine(0.001, 0, 3, 0, -0.001, 60), crs=CRS.from_epsg(4326)).metres_per_pixel(10, 10)
    assert degrees == pytest.approx(np.sqrt(111.4 * 55.8), rel=1e-2)
    mercator = Georeference(Affine(10, 0, 338_749, 0, -10, 4_414_410), crs=CRS.from_epsg(3857))
    assert mercator.metres_per_pixel(1000, 1000) == pytest.approx(8.0, rel=1e-2)


def test_a_local_system_has_no_known_metres() -> None:
    assert Georeference(NORTH_UP, crs=CRS.from_wkt(SITE_CRS)).metres_per_pixel(100, 100) is None
