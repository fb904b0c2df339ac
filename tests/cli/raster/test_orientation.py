"""Every way to store one picture of one ground: it is seen, and described in words, as the map or a viewer shows it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image, ImageOps
from pyproj import CRS
from rasterio.control import GroundControlPoint

from rsmoe_cli.raster.orientation import AS_STORED, Orientation, exif_orientation, map_orientation
from rsmoe_cli.raster.scene import open_scene
from tests.cli.rasters import NORTH_UP, noise, rgb, rotated, write_raster

STORED = [
    Orientation(transposed, columns, rows)
    for transposed in (False, True)
    for columns in (False, True)
    for rows in (False, True)
]
"""All eight ways."""
HEIGHT, WIDTH = 50, 70


def stored_like(orientation: Orientation, upright: np.ndarray) -> np.ndarray:
    """HxW values of the stored image, pixel by pixel."""
    height, width = upright.shape[:2]
    if orientation.is_transposed:
        height, width = width, height
    stored = np.empty((height, width, *upright.shape[2:]), upright.dtype)
    for row in range(height):
        for column in range(width):
            x, y = orientation.upright_point(column + 0.5, row + 0.5, width, height)
            stored[row, column] = upright[int(y), int(x)]
    return stored


def transform_of(orientation: Orientation, width: int, height: int) -> Affine:
    """Stored pixels of an image of this size → ground of an upright image with `NORTH_UP`."""
    points = [orientation.upright_point(x, y, width, height) for x, y in ((0, 0), (1, 0), (0, 1))]
    (x, y), (a, d), (b, e) = (NORTH_UP @ point for point in points)
    return Affine(a - x, b - x, x, d - y, e - y, y)


@pytest.mark.parametrize("orientation", STORED)
def test_there_and_back(orientation: Orientation) -> None:
    pixels = noise(3, HEIGHT, WIDTH).transpose(1, 2, 0)
    stored = stored_like(orientation, pixels)
    assert np.array_equal(orientation.upright(stored), pixels)
    height, width = stored.shape[:2]
    assert orientation.stored_point(*orientation.upright_point(3, 5, width, height), width, height) == (3, 5)


@pytest.mark.parametrize("gcps", [False, True], ids=["transform", "control points"])
@pytest.mark.parametrize("orientation", STORED)
def test_the_map_decides(tmp_path: Path, orientation: Orientation, gcps: bool) -> None:
    stored = stored_like(orientation, noise(3, HEIGHT, WIDTH).transpose(1, 2, 0)).transpose(2, 0, 1)
    transform = transform_of(orientation, *stored.shape[:0:-1])
    points = [
        GroundControlPoint(row, col, *(transform @ (col, row))) for row in (0, 25, 50) for col in (0.0, 20.0, 50.0)
    ]
    position = {"gcps": (points, "EPSG:32631")} if gcps else {"transform": transform}
    georeference = open_scene(write_raster(tmp_path / "a.tif", stored, "red green blue", **position)).georeference
    assert georeference.orientation == orientation


def test_a_scene_with_north_up_stays_as_it_is(tmp_path: Path) -> None:
    for name, transform in (("plain", NORTH_UP), ("nearly", rotated(3)), ("oblong", Affine(9, 0, 0, 0, -2, 0))):
        scene = open_scene(rgb(tmp_path / f"{name}.tif", transform=transform))
        assert scene.georeference.orientation == AS_STORED


@pytest.mark.parametrize(
    ("directions", "columns", "rows"),
    [("EPSG:2048", (-1, 0), (0, 1)), ("EPSG:2065", (0, -1), (1, 0)), ("EPSG:3413", (1, 0), (0, -1))],
    ids=["west and south", "south and west", "polar"],
)
def test_axes_that_run_west_and_south(directions: str, columns: tuple[float, float], rows: tuple[float, float]) -> None:
    assert map_orientation(columns, rows, CRS.from_user_input(directions)) == AS_STORED


@pytest.mark.parametrize("degrees", [-130, -60, -30, 20, 44, 46, 110, 170])
def test_other_angles_are_quarter_turns_and_a_tilt(degrees: float) -> None:
    """North of the middle is at the top of the bounding box on the map, whatever the angle."""
    transform = rotated(degrees)
    orientation = map_orientation((transform.a, transform.d), (transform.b, transform.e), None)
    assert 5 <= abs(orientation.tilt) < 45 or degrees == 170
    north = transform @ (50, 50) + np.array([0, 300])
    x, y, width, height = orientation.on_map(*(~transform @ tuple(north)), 100, 100)
    size = 100 * (abs(math.cos(math.radians(degrees))) + abs(math.sin(math.radians(degrees))))
    assert (width, height) == pytest.approx((size, size))
    assert (x, y) == pytest.approx((size / 2, size / 2 - 30))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_a_photo_is_seen_as_viewers_show_it(tmp_path: Path, suffix: str) -> None:
    image, exif = Image.fromarray(noise(3, HEIGHT, WIDTH).transpose(1, 2, 0)), Image.Exif()
    for value in range(1, 9):
        exif[0x0112] = value
        image.save(path := tmp_path / f"{value}.{suffix}", exif=exif)
        scene = open_scene(str(path))
        with scene.open() as dataset:
            stored = dataset.read([1, 2, 3]).transpose(1, 2, 0)
        with Image.open(path) as photo:
            shown = np.asarray(ImageOps.exif_transpose(photo).convert("RGB"))
        seen = scene.georeference.orientation.upright(stored)
        assert seen.shape == shown.shape
        assert np.abs(seen.astype(int) - shown).mean() < 20, "decoders differ a little"
        assert any("EXIF" in note for note in scene.notes) == (value > 1)


def test_the_map_wins_over_the_exif_tag(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(noise(3, HEIGHT, WIDTH).transpose(1, 2, 0)).save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "a.jgw").write_text("10\n0\n0\n-10\n500000\n4000000\n")
    assert open_scene(str(tmp_path / "a.jpg")).georeference.orientation == AS_STORED


def test_tags_without_a_meaning(tmp_path: Path) -> None:
    assert {exif_orientation(tag) for tag in (None, "", "top", 0, 1, 9, b"\0")} == {AS_STORED}


def test_pixel_coordinates_of_a_part_run_down(tmp_path: Path) -> None:
    """A window that rasterio cut from an image without georeference has a transform, but no map."""
    path = rgb(tmp_path / "a.tif", crs=None, transform=Affine.translation(224, 448))
    with rasterio.open(path) as dataset:
        assert not dataset.transform.is_identity
    assert open_scene(path).georeference.orientation == AS_STORED
