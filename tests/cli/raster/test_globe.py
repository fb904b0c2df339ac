"""Footprints at the 180th meridian and at the poles, against areas on the ellipsoid and points that lie inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS, Geod, Transformer
from rasterio.control import GroundControlPoint
from shapely.geometry import Point
from shapely.geometry.base import BaseGeometry

from rsmoe_cli.raster.georeference import Footprints, Georeference
from rsmoe_cli.raster.orientation import AS_STORED
from rsmoe_cli.raster.scene import open_scene
from tests.cli.rasters import noise, write_raster

LONLAT = CRS.from_epsg(4326)
POLAR = {3413: 1.063, 3995: 1.057, 3031: 1.057, 32661: 1.012}
"""Polar systems, with the area on the ground of one square metre of the map near the pole."""


def area(footprint: BaseGeometry) -> float:
    geod = Geod(ellps="WGS84")
    return sum(geod.geometry_area_perimeter(part)[0] for part in getattr(footprint, "geoms", [footprint]))


@pytest.mark.parametrize("epsg", POLAR)
@pytest.mark.parametrize("size", [200, 4])
@pytest.mark.parametrize(
    "place", [(0.5, 0.5), (0, 0), (1, 0), (1, 1), (0.5, 0), (0, 0.5), (0.3, 1), (-0.1, 0.5), (0.2, 0.9)]
)
def test_a_footprint_holds_or_touches_a_pole(epsg: int, size: int, place: tuple[float, float]) -> None:
    """The pole lies at this place, in shares of the footprint's width and height."""
    pole = 2_000_000 if epsg == 32661 else 0
    side = size * 1000
    transform = Affine(1000, 0, pole - place[0] * side, 0, -1000, pole + place[1] * side)
    footprint = Footprints(Georeference(transform, crs=CRS.from_epsg(epsg)), LONLAT).of((0, 0, size, size))
    assert footprint is not None
    assert footprint.is_valid
    left, bottom, right, top = footprint.bounds
    assert left >= -180
    assert right <= 180
    assert max(abs(bottom), abs(top)) <= 90
    assert area(footprint) == pytest.approx(POLAR[epsg] * side**2, rel=0.01)
    to_globe = Transformer.from_crs(epsg, LONLAT, always_xy=True)
    for x, y in ((0.12, 0.17), (0.93, 0.21), (0.46, 0.58), (0.14, 0.83), (0.88, 0.79)):
        assert footprint.contains(Point(to_globe.transform(*(transform @ (x * size, y * size)))))


@pytest.mark.parametrize(
    ("west", "north", "step", "width", "height", "bounds"),
    [
        (-180, 90, 1, 360, 180, (-180, -90, 180, 90)),
        (0, 90, 1, 360, 180, (-180, -90, 180, 90)),
        (-180.25, 90.25, 0.5, 721, 361, (-180, -90, 180, 90)),
        (-180, 90, 1, 360, 10, (-180, 80, 180, 90)),
        (0, 90.5, 1, 10, 10, (0, 80.5, 10, 90)),
        (-100, 50, 1, 200, 50, (-100, 0, 100, 50)),
    ],
)
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4269"])
def test_grids_in_degrees(
    west: float, north: float, step: float, width: int, height: int, bounds: tuple[float, ...], crs: str
) -> None:
    georeference = Georeference(Affine(step, 0, west, 0, -step, north), crs=CRS.from_user_input(crs))
    footprint = Footprints(georeference, LONLAT).of((0, 0, width, height))
    assert footprint is not None
    assert footprint.is_valid
    assert footprint.bounds == pytest.approx(bounds, abs=1e-4)
    assert footprint.area == pytest.approx((bounds[2] - bounds[0]) * (bounds[3] - bounds[1]), rel=1e-3)


@pytest.mark.parametrize(
    ("epsg", "west", "north", "side", "parts", "scale"),
    [
        (32701, 100_000, 7_872_000, 128_000, 2, 0.998),
        (3413, -250_000, 500_000, 250_000, 1, 1.062),
        (3995, -250_000, 1_000_000, 250_000, 1, 1.046),
        (3995, 0, 1_000_000, 250_000, 1, 1.046),
    ],
    ids=["across", "corner at 180", "edge along 180, west", "edge along 180, east"],
)
def test_footprints_at_the_180th_meridian(
    epsg: int, west: float, north: float, side: float, parts: int, scale: float
) -> None:
    """Neither loops nor slivers are left of rounding; `scale` is the area on the ground of one square metre."""
    georeference = Georeference(Affine(side / 64, 0, west, 0, -side / 64, north), crs=CRS.from_epsg(epsg))
    footprint = Footprints(georeference, LONLAT).of((0, 0, 64, 64))
    assert footprint is not None
    assert footprint.is_valid
    assert len(getattr(footprint, "geoms", [footprint])) == parts
    assert area(footprint) == pytest.approx(scale * side**2, rel=0.01)


def test_a_map_that_ends_at_180_has_no_footprint_across_it() -> None:
    """It would reach around the world on the wrong side."""
    fiji = Georeference(Affine(100, 0, 790_000, 0, -100, 8_000_000), crs=CRS.from_epsg(32760))
    assert Footprints(fiji, CRS.from_epsg(3857)).of((0, 0, 500, 500)) is None
    assert Footprints(fiji, CRS.from_epsg(3857)).of((0, 0, 100, 100)) is not None


def control_points(longitude: float, latitude: float) -> list[GroundControlPoint]:
    """A grid of 40 x 40 pixels of 0.1 degrees from there."""
    return [
        GroundControlPoint(row, col, (longitude + col / 10 + 180) % 360 - 180, latitude - row / 10)
        for row in (0.0, 20.0, 40.0)
        for col in (0.0, 20.0, 40.0)
    ]


@pytest.mark.parametrize("longitude", [178.0, 176.0, 180.0, 179.9, -182.0])
def test_control_points_whose_longitudes_jump(tmp_path: Path, longitude: float) -> None:
    points = control_points(longitude, 10)
    path = write_raster(tmp_path / "a.tif", noise(3, 40, 40), gcps=(points, "EPSG:4326"))
    georeference = open_scene(path).georeference
    assert georeference.orientation == AS_STORED
    footprints = Footprints(georeference, LONLAT)
    whole, point = footprints.of((0, 0, 40, 40)), footprints.point(30, 10)
    assert whole is not None
    assert whole.area == pytest.approx(16)
    assert whole.bounds[1::2] == pytest.approx((6, 10))
    assert point is not None
    assert ((point.x - longitude - 3 + 180) % 360 - 180, point.y) == pytest.approx((0, 9), abs=1e-6)
    assert georeference.metres_per_pixel(40, 40) == pytest.approx(11_020, rel=0.01)


@pytest.mark.parametrize("epsg", [3995, 3031])
@pytest.mark.parametrize("west", [-18_000, 1_000], ids=["around", "beside"])
def test_control_points_around_or_beside_a_pole(tmp_path: Path, epsg: int, west: float) -> None:
    to_globe = Transformer.from_crs(epsg, LONLAT, always_xy=True)
    grid = [(row, col) for row in (0.0, 20.0, 40.0) for col in (0.0, 20.0, 40.0)]
    points = [
        GroundControlPoint(row, col, *to_globe.transform(west + 1000 * col, 23_000 - 1000 * row)) for row, col in grid
    ]
    georeference = open_scene(
        write_raster(tmp_path / "a.tif", noise(3, 40, 40), gcps=(points, "EPSG:4326"))
    ).georeference
    footprint = Footprints(georeference, LONLAT).of((0, 0, 40, 40))
    assert footprint is not None
    assert footprint.is_valid
    assert area(footprint) == pytest.approx(1.057 * 40_000**2, rel=0.01)
    expected = to_globe.transform(west + 5000, 23_000 - 7000)
    point = Footprints(georeference, LONLAT).point(5, 7)
    assert point is not None
    assert (point.x, point.y) == pytest.approx(expected, abs=1e-3)


def test_control_points_without_numbers_stay_a_fault(tmp_path: Path) -> None:
    points = [GroundControlPoint(0, 0, np.nan, 1), GroundControlPoint(0, 9, -170, 1), GroundControlPoint(9, 0, 170, 2)]
    scene = open_scene(write_raster(tmp_path / "a.tif", noise(3, 10, 10), gcps=(points, "EPSG:4326")))
    assert scene.georeference.kind == "pixels"
