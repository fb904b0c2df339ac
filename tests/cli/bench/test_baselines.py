from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pytest

from rsmoe_cli.bench.baselines import LOOPS, caption_scene, whole_scene
from rsmoe_cli.bench.drawing import big_scene
from rsmoe_cli.raster.scene import open_scene
from rsmoe_core.checkpoint.load import save_model
from rsmoe_core.loading import load
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_model(make_tiny(), folder)
    return folder


@pytest.mark.parametrize("loop", LOOPS)
def test_each_loop_gives_the_captions_of_the_engine(tmp_path: Path, model: Path, loop: str) -> None:
    scene = big_scene(tmp_path / "a.tif", 192)
    run = caption_scene(loop, scene, tmp_path / "a.gpkg", str(model), 64)
    tiles = list(whole_scene(open_scene(scene), 64))
    assert 0 < len(tiles) < 9, "blank tiles are left out"
    described = load(model, device="cpu").caption([tile.pixels for tile in tiles], [tile.valid for tile in tiles])
    written = gpd.read_file(tmp_path / "a.gpkg")
    assert list(written["tile_id"]) == [tile.tile.id for tile in tiles]
    assert list(written["caption"]) == [description.caption for description in described]
    assert written.crs.to_epsg() == 32631
    assert run.captions == len(tiles)
    assert 0 < run.waited < run.first <= run.seconds
