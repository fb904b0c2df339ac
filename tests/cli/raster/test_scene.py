from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster import dataset
from rsmoe_cli.raster.scene import open_scene, read_pixels
from tests.cli.rasters import noise, rgb, write_raster


def test_eight_bit_colours_are_unchanged(tmp_path: Path) -> None:
    path = rgb(tmp_path / "a.tif")
    scene = open_scene(path)
    assert str(scene.stretch) == "none"
    assert scene.notes == ()
    with scene.open() as file:
        image = read_pixels(file, scene, Window(5, 6, 20, 10))
    with rasterio.open(path) as again:
        assert np.array_equal(image, again.read()[:, 6:16, 5:25].transpose(1, 2, 0))


def test_bands_are_selected_by_their_names(tmp_path: Path) -> None:
    values = np.stack([np.full((30, 30), v, np.uint16) for v in (100, 200, 300, 400)])
    values[:, 0, 0], values[:, 0, 1] = 0, 1000
    path = write_raster(tmp_path / "a.tif", values, descriptions=("B02 blue", "B03 green", "B04 red", "B08 nir"))
    scene = open_scene(path, stretch="0,100")
    assert str(scene.band_selection) == "3 (B04 red), 2 (B03 green), 1 (B02 blue)"
    with scene.open() as file:
        red, green, blue = read_pixels(file, scene, Window(5, 5, 1, 1))[0, 0]
    assert (red, green, blue) == (76, 51, 26)


def test_one_band_is_grey(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", noise(1, 40, 30, "uint16", high=9000))
    scene = open_scene(path)
    with scene.open() as file:
        image = read_pixels(file, scene, Window(0, 0, 30, 40))
    assert image.shape == (40, 30, 3)
    assert (image[..., 0] == image[..., 2]).all()
    assert image.min() == 0
    assert image.max() == 255


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_grey_whose_zero_is_white_is_inverted(tmp_path: Path, dtype: str) -> None:
    values = noise(1, 40, 30, dtype, high=255)
    ordinary = open_scene(write_raster(tmp_path / "a.tif", values, "gray", photometric="MINISBLACK"))
    inverted = open_scene(write_raster(tmp_path / "b.tif", values, photometric="MINISWHITE"))
    with ordinary.open() as a, inverted.open() as b:
        images = [read_pixels(file, scene, Window(0, 0, 30, 40)) for file, scene in ((a, ordinary), (b, inverted))]
    assert np.array_equal(images[0], 255 - images[1])


def test_cmyk_is_drawn_in_its_colours(tmp_path: Path) -> None:
    values = np.zeros((4, 20, 20), np.uint8)
    values[1:3] = 255  # magenta and yellow are red
    scene = open_scene(write_raster(tmp_path / "a.tif", values, photometric="CMYK"))
    with scene.open() as file:
        assert read_pixels(file, scene, Window(0, 0, 1, 1)).tolist() == [[[255, 0, 0]]]


def test_a_colour_table_gives_the_colours(tmp_path: Path) -> None:
    values = np.array([[[0, 1], [1, 2]]], np.uint8)
    colours = {0: (0, 0, 255, 255), 1: (0, 128, 0, 255), 2: (255, 255, 0, 255)}
    path = write_raster(tmp_path / "a.tif", values, photometric="palette", palette=colours)
    scene = open_scene(path)
    with scene.open() as file:
        image = read_pixels(file, scene, Window(0, 0, 2, 2))
    assert image.tolist() == [[[0, 0, 255], [0, 128, 0]], [[0, 128, 0], [255, 255, 0]]]


def test_a_dark_grey_image_is_stretched_and_an_ordinary_one_is_not(tmp_path: Path) -> None:
    for high, stretch in ((255, "none"), (32, "2-98 %"), (2, "2-98 %")):
        scene = open_scene(write_raster(tmp_path / f"{high}.tif", noise(1, 60, 60, low=0, high=high), "gray"))
        assert str(scene.stretch).startswith(stretch)
        assert any("--stretch none keeps them" in note for note in scene.notes) is (high < 64)
    assert str(open_scene(str(tmp_path / "32.tif"), stretch="none").stretch) == "none"
    colours = write_raster(tmp_path / "night.tif", noise(3, 60, 60, high=32), "red green blue", photometric="RGB")
    assert str(open_scene(colours).stretch) == "none", "night"


def test_the_stretch_ignores_nodata(tmp_path: Path) -> None:
    values = noise(3, 60, 60, "uint16", low=1000, high=2000)
    values[:, :30] = 0
    scene = open_scene(write_raster(tmp_path / "a.tif", values, nodata=0))
    assert min(scene.stretch.low) > 1000
    assert max(scene.stretch.high) < 2000


def test_a_large_scene_without_overviews_is_sampled_in_patches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_raster(tmp_path / "a.tif", noise(3, 300, 400, "uint16", low=1000, high=2000))
    whole = open_scene(path).stretch
    monkeypatch.setattr(dataset, "_LARGE", 1000)
    monkeypatch.setattr(dataset, "_PATCH_SIDE", 20)
    patches = open_scene(path).stretch
    assert patches != whole
    assert np.allclose([*patches.low, *patches.high], [*whole.low, *whole.high], atol=15)


def test_bands_by_position_and_a_missing_crs_are_noted(tmp_path: Path) -> None:
    scene = open_scene(write_raster(tmp_path / "a.tif", noise(4, 20, 20, "uint16"), crs=None))
    assert any("by position" in note for note in scene.notes)
    assert any("no coordinate reference system" in note for note in scene.notes)


def test_missing_files_folders_and_texts_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("not a raster")
    (tmp_path / "empty.tif").touch()
    for name, message in [
        ("none.tif", "there is no file"),
        ("text.tif", "not a raster that GDAL knows"),
        ("empty.tif", "not a raster that GDAL knows"),
        ("", "is a folder"),
    ]:
        with pytest.raises(SceneError, match=message):
            open_scene(str(tmp_path / name))


@pytest.mark.parametrize("compress", ["none", "deflate"])
@pytest.mark.parametrize("keep", [0.2, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, keep: float, compress: str) -> None:
    path = Path(rgb(tmp_path / "a.tif", 400, 300, compress=compress))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(SceneError, match=r"is cut short|not a raster"):
        open_scene(str(path))


def test_sparse_files_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=300, height=300, count=3, dtype="uint8", tiled=True, sparse_ok=True
    ) as dataset:
        dataset.write(noise(3, 16, 16), window=Window(0, 0, 16, 16))
    assert open_scene(str(path)).width == 300


def test_a_raster_of_complex_numbers_is_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((1, 20, 20), "complex64"))
    with pytest.raises(SceneError, match=r"a\.tif has no usable band"):
        open_scene(path)
