from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from rsmoe_cli.raster.nodata.masks import is_alpha
from rsmoe_cli.raster.scene import open_scene
from tests.cli.rasters import noise, write_raster

WHOLE = Window(0, 0, 40, 30)


def valid_of(path: str) -> np.ndarray:
    scene = open_scene(path)
    with scene.open() as dataset:
        return scene.mask.read(dataset, WHOLE)


def test_without_any_mask_every_pixel_is_valid(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", noise(3, 30, 40))
    assert open_scene(path).mask.source == "every pixel"
    assert valid_of(path).all()


def test_nodata_in_all_bands_is_a_hole_and_in_one_band_a_colour(tmp_path: Path) -> None:
    values = noise(3, 30, 40)
    values[:, :10] = 0
    values[2, 20] = 0
    path = write_raster(tmp_path / "a.tif", values, "red green blue", nodata=0, photometric="RGB")
    valid = valid_of(path)
    assert not valid[:10].any()
    assert valid[10:].all()
    with rasterio.open(path) as dataset:
        assert np.array_equal(valid, dataset.dataset_mask() > 0)


def test_in_signed_and_real_types_one_missing_band_is_a_hole(tmp_path: Path) -> None:
    values = noise(3, 30, 40, "float32")
    values[1, 3, 4] = -9999
    values[0, 5, 6] = np.nan
    values[2, 7, 8] = np.inf
    valid = valid_of(write_raster(tmp_path / "a.tif", values, nodata=-9999))
    assert [tuple(hole) for hole in np.argwhere(~valid)] == [(3, 4), (5, 6), (7, 8)]


@pytest.mark.parametrize("clear", [0, 255])
def test_alpha_hides_what_is_clear(tmp_path: Path, clear: int) -> None:
    values = noise(4, 30, 40)
    values[3] = 255 - clear
    values[3, 4:9, 6:30] = clear
    valid = valid_of(write_raster(tmp_path / "a.tif", values, "red green blue alpha", photometric="RGB"))
    assert np.array_equal(valid, values[3] > 0)


def test_near_infrared_called_alpha_hides_nothing_and_is_noted(tmp_path: Path) -> None:
    values = noise(4, 30, 40, low=0)
    path = write_raster(tmp_path / "a.tif", values, "red green blue alpha", photometric="RGB")
    scene = open_scene(path)
    assert valid_of(path).all()
    assert scene.band_selection.indexes == (1, 2, 3)
    assert "band 4 is called alpha but is not a mask" in scene.notes[0]
    assert open_scene(path, bands=(4, 1, 2)).band_selection.indexes == (4, 1, 2)


def test_mask_band_is_honoured(tmp_path: Path) -> None:
    mask = np.full((30, 40), 255, np.uint8)
    mask[:, :7] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write_raster(tmp_path / "a.tif", noise(3, 30, 40), "red green blue", mask=mask, photometric="RGB")
    assert np.array_equal(valid_of(path), mask > 0)


def test_an_alpha_mask_may_have_soft_edges_but_not_vary_everywhere() -> None:
    mask = np.full(1000, 255, np.uint16)
    assert not is_alpha(mask), "255 is nearly clear in 16 bits"
    mask[:] = 65535
    mask[:400], mask[400:430] = 0, 30_000
    assert is_alpha(mask)
    assert not is_alpha(np.arange(1000, dtype=np.uint16))


def test_real_scenes(shared: Path) -> None:
    holes = {
        "naip/claremont_2020_34.tif": 0.0,
        "mixed/RGBA.byte.tif": 0.325495,
        "mixed/pix4d_alpha_nodata.tif": 0.124355,
        "sentinel2_ports/algiers.tif": 0.0,
    }
    for name, share in holes.items():
        scene = open_scene(str(shared / "scenes" / name))
        with scene.open() as dataset:
            valid = scene.mask.read(dataset, Window(0, 0, scene.width, scene.height))
        assert 1 - valid.mean() == pytest.approx(share, abs=1e-6), name
