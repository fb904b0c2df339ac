from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rasterio.windows import Window
from typer.testing import Result

from rsmoe_cli.raster.nodata.fill import parse_nodata
from rsmoe_cli.raster.scene import open_scene
from rsmoe_core.errors import UsageError
from tests.cli.fakes import FakeEngine
from tests.cli.rasters import noise, write_raster

Cli = Callable[..., Result]
SIDE = 200


def turned_collar(values: NDArray[Any], fill: float | tuple[int, ...]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The image with a constant around a rectangle turned by 20 degrees, and the mask of that rectangle."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    u, v = x * 0.94 - y * 0.34, x * 0.34 + y * 0.94
    inside = (abs(u) < SIDE * 0.36) & (abs(v) < SIDE * 0.36)
    return np.where(inside, values, np.reshape(fill, (-1, 1, 1)).astype(values.dtype)), inside


def valid_of(path: str, **options: Any) -> NDArray[np.bool_]:
    scene = open_scene(path, **options)
    with scene.open() as dataset:
        return scene.mask.read(dataset, Window(0, 0, scene.width, scene.height))


@pytest.mark.parametrize("fill", [0, 255, 1, 128, (255, 0, 255)])
def test_a_collar_of_bytes_is_left_out_and_said_so(tmp_path: Path, fill: float) -> None:
    values, inside = turned_collar(noise(3, SIDE, SIDE, low=40, high=220), fill)
    path = write_raster(tmp_path / "a.tif", values, "red green blue", photometric="RGB")
    assert np.array_equal(valid_of(path), inside)
    [note] = open_scene(path).notes
    assert "48% of the scene has the value" in note
    assert "--nodata none keeps it" in note
    assert valid_of(path, nodata="none").all()


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [("uint16", 0), ("uint16", 65535), ("int16", -9999), ("int16", 0)]
    + [("float32", fill) for fill in (-9999, 0, -1, 1e20, -3.4028235e38, -32768)],
)
def test_fill_is_no_data_and_does_not_ruin_the_stretch(tmp_path: Path, dtype: str, fill: float) -> None:
    image = noise(3, SIDE, SIDE, dtype, low=300, high=9000)
    image = image / np.float32(10_000) if dtype == "float32" else image
    values, inside = turned_collar(image, fill)
    scene = open_scene(write_raster(tmp_path / "a.tif", values))
    declared = open_scene(write_raster(tmp_path / "b.tif", values, nodata=float(np.array(fill, dtype))))
    assert scene.stretch == declared.stretch
    assert np.array_equal(valid_of(scene.path), inside)
    assert f"undeclared nodata {values[0, 0, 0]:g}" in scene.mask.source


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_hole_of_zeros_is_no_data_and_does_not_ruin_the_stretch(tmp_path: Path, dtype: str) -> None:
    values = noise(3, SIDE, SIDE, dtype, low=900, high=4000)
    hole = np.zeros((SIDE, SIDE), bool)
    hole[60:110, 70:130] = True
    values[:, hole] = 0
    scene = open_scene(write_raster(tmp_path / "a.tif", values))
    declared = open_scene(write_raster(tmp_path / "b.tif", values, nodata=0))
    assert scene.stretch == declared.stretch
    assert np.array_equal(valid_of(scene.path), ~hole)
    assert any("8% of the scene has the value 0, in large parts with sharp edges" in note for note in scene.notes)


def test_a_collar_of_one_colour_of_a_palette_is_left_out(tmp_path: Path) -> None:
    palette = {
        value: (40 + value * 37 % 200, 40 + value * 91 % 200, 40 + value * 53 % 200, 255) for value in range(255)
    }
    palette[255] = (0, 0, 0, 255)
    values, inside = turned_collar(noise(1, SIDE, SIDE, high=250), 255)
    path = write_raster(tmp_path / "a.tif", values, palette=palette)
    assert np.array_equal(valid_of(path), inside)
    assert "48% of the scene has the value 255, from the border inwards" in open_scene(path).notes[0]
    assert valid_of(path, nodata="none").all()


def test_several_kinds_of_fill_are_all_found(tmp_path: Path) -> None:
    values, inside = turned_collar(noise(3, SIDE, SIDE, "float32", low=300, high=9000), -9999)
    values[:, :30], values[:, :, :20] = np.nan, -3.4028235e38
    inside[:30], inside[:, :20] = False, False
    assert np.array_equal(valid_of(write_raster(tmp_path / "a.tif", values)), inside)
    values, inside = turned_collar(noise(3, SIDE, SIDE, low=40, high=220), 255)
    values[:, :10], inside[:10] = 0, False
    path = write_raster(tmp_path / "b.tif", values, "red green blue", photometric="RGB", nodata=0)
    assert np.array_equal(valid_of(path), inside)


def test_two_collars_and_narrow_ones_of_small_rasters_are_found(tmp_path: Path) -> None:
    values, inside = turned_collar(noise(3, SIDE, SIDE, low=40, high=220), 0)
    values[:, :, 100:][:, ~inside[:, 100:]] = 255
    assert np.array_equal(valid_of(write_raster(tmp_path / "a.tif", values, "red green blue")), inside)
    values = noise(3, SIDE, SIDE, low=40, high=220)
    values[:, -9:] = 255
    assert valid_of(write_raster(tmp_path / "b.tif", values, "red green blue")).sum() == SIDE * (SIDE - 9)


def test_fill_beside_other_fill_holds_no_corner(tmp_path: Path) -> None:
    values, inside = noise(3, SIDE, SIDE, "float32", low=300, high=9000), np.ones((SIDE, SIDE), bool)
    values[:, :60], inside[:60] = 0, False
    values[:, :60, :20] = values[:, :60, -20:] = np.nan
    assert np.array_equal(valid_of(write_raster(tmp_path / "a.tif", values)), inside)


def test_holes_of_a_usual_nodata_value_need_not_be_far(tmp_path: Path) -> None:
    values, inside = noise(3, SIDE, SIDE, "float32", low=300, high=9000), np.ones((SIDE, SIDE), bool)
    values[:, 90:99, 90:99], inside[90:99, 90:99] = -9999, False
    assert np.array_equal(valid_of(write_raster(tmp_path / "a.tif", values)), inside)


def natural() -> NDArray[Any]:
    """3xSxS real numbers between 0 and 200 that change gradually, as land and water do."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    return 100 + 100 * np.sin(7 * x + np.array([0, 0.3, 0.6])[:, None, None]) * np.cos(5 * y)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_dark_water_snow_and_night_are_real(tmp_path: Path, dtype: str) -> None:
    night = np.zeros((3, SIDE, SIDE))
    for spot, row in enumerate(range(10, SIDE, 9)):
        night[:, row : row + 3, 20 + 3 * spot : 23 + 3 * spot] = 60 + 8 * spot
    dark, bright = natural() - 90, natural() * 2 - 90
    for name, values in (("water", dark), ("snow", bright), ("night", night)):
        limit = 65_535 if dtype == "uint16" else 255
        image = np.clip(values if dtype != "uint16" else values * 257, 0, limit).astype(dtype)
        assert valid_of(write_raster(tmp_path / f"{name}.tif", image, "red green blue")).all(), name


@pytest.mark.parametrize(
    "options",
    [{"compress": "JPEG", "photometric": "YCBCR", "quality": quality} for quality in (50, 90)]
    + [{"compress": "WEBP", "WEBP_LEVEL": 75}, {"compress": "JPEG", "photometric": "YCBCR", "tiled": True}],
)
@pytest.mark.parametrize("fill", [0, 255])
def test_collars_with_the_noise_of_lossy_compression_are_left_out(
    tmp_path: Path, options: dict[str, Any], fill: int
) -> None:
    values, inside = turned_collar(noise(3, SIDE, SIDE, low=60, high=200), fill)
    path = write_raster(tmp_path / "a.tif", values, "red green blue", **options)
    scene = open_scene(path)
    valid = valid_of(path)
    assert (valid & ~inside).sum() < 0.015 * SIDE**2, "noise is left out too"
    assert (inside & ~valid).sum() < 0.0005 * SIDE**2
    assert f"has the value {fill}, from the border inwards, with the noise of a lossy compression" in scene.notes[0]
    with scene.open() as dataset:
        assert np.array_equal(scene.mask.read(dataset, Window(37, 21, 90, 110)), valid[21:131, 37:127])


def test_sea_and_snow_that_were_compressed_with_losses_are_real(tmp_path: Path) -> None:
    for name, values in (("water", natural() - 90), ("snow", natural() * 2 - 90)):
        image = np.clip(values, 0, 255).astype(np.uint8)
        path = tmp_path / f"{name}.tif"
        write_raster(path, image, "red green blue", compress="JPEG", photometric="YCBCR")
        assert valid_of(str(path)).all(), name


def test_roofs_painted_lakes_and_maps_of_classes_are_real(tmp_path: Path) -> None:
    roof, lake = noise(3, SIDE, SIDE), noise(3, SIDE, SIDE)
    roof[:, :40, :40] = 255
    lake[:, :120] = np.array([20, 50, 80])[:, None, None]
    classes = np.repeat(noise(1, 4, SIDE, low=0, high=4), SIDE // 4, axis=1)
    classes[:, :90] = 0
    for name, values in (("roof", roof), ("lake", lake), ("classes", classes)):
        assert valid_of(write_raster(tmp_path / f"{name}.tif", values)).all(), name
    assert any("may be real" in note for note in open_scene(str(tmp_path / "lake.tif")).notes)


def test_values_that_are_named_are_left_out(tmp_path: Path) -> None:
    values = noise(3, SIDE, SIDE, "float32")
    values[0, 3, 4], values[:, 5, 6] = -9999, -7
    path = write_raster(tmp_path / "a.tif", values)
    assert np.argwhere(~valid_of(path, nodata="-9999,-7")).tolist() == [[3, 4], [5, 6]]
    assert parse_nodata("none") == ()
    with pytest.raises(UsageError, match="nodata 'low' is not understood"):
        parse_nodata("low")


@pytest.mark.parametrize("command", [("caption",), ("ask", "How many ships are there?")])
def test_tiles_to_which_nothing_was_written_are_blank(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, command: tuple[str, ...]
) -> None:
    values = noise(3, 96, 96)
    values[:, 32:64, 32:64], values[:, :32, 64:] = 0, 255
    values[:, 64:, :32] = np.array([20, 50, 80])[:, None, None]
    write_raster(tmp_path / "a.tif", values, "red green blue", photometric="RGB")
    name, *question = command
    arguments = (name, "a.tif", *question, "-o", "out.gpkg", "--tile-size", "32", "--overwrite")
    assert rsmoe(*arguments, *(["--overlap", "0"] if question else [])).exit_code == 0
    assert len(engine.requests) == 7
    engine.requests.clear()
    assert rsmoe(*arguments, "--nodata", "none", *(["--overlap", "0"] if question else [])).exit_code == 0
    assert len(engine.requests) == 9


def test_a_nodata_that_is_not_understood_is_refused(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", noise(3, 96, 96))
    assert rsmoe("caption", "a.tif", "-o", "out.gpkg", "--nodata", "-9999").exit_code == 0
    assert rsmoe("caption", "a.tif", "-o", "x.gpkg", "--nodata", "low").exit_code == 2
