from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsmoe_cli.option_groups import TilingOptions
from rsmoe_cli.planning.scene_plan import plan_scene
from rsmoe_cli.raster import dataset
from tests.cli.rasters import noise, write_raster

TILES = TilingOptions(tile_size="32")


def test_a_plan_names_what_was_decided(tmp_path: Path) -> None:
    values = noise(4, 96, 128, "uint16", high=3000)
    values[:, :32] = 0
    path = write_raster(tmp_path / "s.tif", values, descriptions=("blue", "green", "red", "nir"), nodata=0)
    plan = plan_scene(path, TILES, 224)
    assert (plan.width, plan.height, plan.tiles, plan.tile_size) == (128, 96, 12, 32)
    assert plan.bands == (3, 2, 1)
    assert plan.metres_per_pixel == pytest.approx(10, rel=1e-3)
    assert plan.crs == "WGS 84 / UTM zone 31N"
    assert plan.stretch.startswith("2-98 %")
    assert plan.blank_share == pytest.approx(1 / 3)
    assert plan.visible_tiles == 8
    assert not plan.blank_is_sampled


def test_tiles_to_which_nothing_was_written_are_blank(tmp_path: Path) -> None:
    values = noise(3, 64, 128)
    values[:, :, :64] = 0
    values[:, 10, 70] = 0
    path = write_raster(tmp_path / "s.tif", values, "red green blue", photometric="RGB")
    assert plan_scene(path, TILES, 224).blank_share == 0.5


def test_large_scenes_without_overviews_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_LARGE", 1000)
    monkeypatch.setattr(dataset, "_PATCH_SIDE", 64)
    values = noise(1, 512, 512, "uint16")
    values[:, :256] = 0
    path = write_raster(tmp_path / "s.tif", values, nodata=0)
    plan = plan_scene(path, TILES, 224)
    assert plan.blank_is_sampled
    assert plan.blank_share == pytest.approx(0.5, abs=0.1)


def test_a_blank_scene_has_no_visible_tile(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "s.tif", np.zeros((3, 64, 64), np.uint16), nodata=0)
    assert plan_scene(path, TILES, 224).visible_tiles == 0
