from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from typer.testing import Result

from rsmoe_core.errors import UsageError
from tests.cli.fakes import FakeEngine
from tests.cli.rasters import CUSTOM_CRS, SITE_CRS, noise, rgb, write_raster
from tests.cli.test_reading import damaged

Cli = Callable[..., Result]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_scene_becomes_a_map(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "6 of 6 tiles captioned, 0 blank, 0 failed; 100.0% of the valid pixels" in result.stderr
    assert len(gpd.read_file("out.gpkg", layer="captions")) == 6
    assert names(tmp_path) == ["a.tif", "out.gpkg"]


def test_json_is_the_only_thing_on_stdout_and_quiet_is_quiet(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", noise(4, 40, 40, "uint16"), crs=None)
    result = rsmoe("caption", "a.tif", "-o", "out.geojson", "--json", "-q")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    summary = json.loads(result.stdout)
    assert summary["tiles"] == summary["captioned"] == 1, "a tile that fits, not one of 32 pixels and three strips"
    assert summary["coverage"] == 1
    loud = rsmoe("caption", "a.tif", "-o", "out.geojson", "--overwrite", "--tile-size", "32")
    assert "4 of 4 tiles captioned" in loud.stderr
    assert "warning: no band says its colour" in loud.stderr
    assert "warning: no coordinate reference system" in loud.stderr


def test_options_reach_the_scene(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif", 100, 100)
    options = "--bands 3,2,1 --tile-size 400m --overlap 8 --stretch 1,99 --batch-size 3 --dst-crs EPSG:4326 --prompts"
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg", *options.split())
    assert result.exit_code == 0, result.stderr
    rows, table = gpd.read_file("out.gpkg", layer="captions"), gpd.read_file("out.gpkg", layer="rsmoe_metadata")
    metadata = dict(zip(table["key"], table["value"], strict=True))
    assert len(rows) == 9
    assert rows.crs.to_epsg() == 4326
    assert "prompt_theme" in rows
    assert max(engine.batches) == 3
    assert metadata["bands"] == "3 (blue), 2 (green), 1 (red)"
    assert metadata["tile_size"] == "40"
    assert metadata["overlap"] == "8"
    assert metadata["stretch"].startswith("1-99 %")


def test_custom_projection_survives_into_the_geopackage(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif", crs=CUSTOM_CRS)
    assert rsmoe("caption", "a.tif", "-o", "out.gpkg").exit_code == 0
    assert rsmoe("caption", "a.tif", "-o", "out.geojson").exit_code == 0
    own, world = gpd.read_file("out.gpkg", layer="captions"), gpd.read_file("out.geojson")
    assert own.crs.name == "Town grid"
    assert world.crs.to_epsg() == 4326
    back = world.to_crs(own.crs)
    assert back.geometry.distance(own.geometry).max() == 0
    assert (back.symmetric_difference(own.geometry).area / own.area).max() < 1e-4


def test_a_local_system_is_kept_as_it_is(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif", crs=SITE_CRS)
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg")
    assert result.exit_code == 0, result.stderr
    assert gpd.read_file("out.gpkg", layer="captions").crs.name == "site"


def test_a_damaged_block_is_exit_code_three(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged(tmp_path / "a.tif")
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg", "--tile-size", "32")
    assert result.exit_code == 3
    assert "failed tiles: 1" in result.stderr
    rows = gpd.read_file("out.gpkg", layer="captions").set_index("tile_id")
    assert rows["status"].value_counts().to_dict() == {"ok": 5, "failed": 1}
    assert rows.loc["r0001c0001", "error"].startswith("cannot be read")
    assert capfd.readouterr().err == ""


def test_interrupted_leaves_nothing(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    engine.describe = interrupt  # type: ignore[method-assign]
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg")
    assert result.exit_code == 130
    assert names(tmp_path) == ["a.tif"]


def bad_inputs(folder: Path) -> None:
    rgb(folder / "good.tif")
    (folder / "text.tif").write_text("this is no raster\n")
    cut = Path(rgb(folder / "cut.tif", 300, 300))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    write_raster(folder / "complex.tif", np.ones((1, 20, 20), "complex64"))
    (folder / "old.gpkg").write_text("old")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("none.tif -o out.gpkg", 1, "there is no file none.tif"),
        ("text.tif -o out.gpkg", 1, "cannot read text.tif"),
        ("cut.tif -o out.gpkg", 1, "cut.tif is cut short"),
        ("complex.tif -o out.gpkg", 1, "complex.tif has no usable band"),
        ("good.tif -o out.gpkg --bands 9,2,1", 2, "there is no band 9 to draw; choose from 1 (red)"),
        ("good.tif -o out.gpkg --bands red", 2, "bands 'red' are not understood"),
        ("good.tif -o out.shp", 2, "output type '.shp' is unknown; choose .gpkg or .geojson"),
        ("good.tif -o old.gpkg", 1, "old.gpkg exists already"),
        ("good.tif -o none/out.gpkg", 1, "mkdir -p none"),
        ("good.tif -o out.gpkg --dst-crs EPSG:1", 2, "CRS 'EPSG:1' is unknown"),
        ("good.tif -o out.gpkg --tile-size huge", 2, "tile size 'huge' is not understood"),
        ("good.tif -o out.gpkg --overlap 32", 2, "choose --overlap between 0 and 31"),
        ("good.tif -o out.gpkg --stretch loud", 2, "stretch 'loud' is not understood"),
        ("good.tif -o out.gpkg --model none", 2, "model 'none' is unknown"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    rsmoe: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: str,
    code: int,
    message: str,
) -> None:
    def load(name: str, device: str) -> FakeEngine:
        if name == "none":
            raise UsageError("model 'none' is unknown; choose nano")
        return FakeEngine()

    monkeypatch.setattr("rsmoe_core.load", load, raising=False)
    bad_inputs(tmp_path)
    before = names(tmp_path)
    result = rsmoe("caption", *arguments.split())
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.splitlines() == [result.stderr.strip()]
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert names(tmp_path) == before
    assert (tmp_path / "old.gpkg").read_text() == "old"
    assert capfd.readouterr().err == "", "GDAL must not talk to the terminal"


def test_the_terminal_sees_one_line_for_a_truncated_file(tmp_path: Path) -> None:
    bad_inputs(tmp_path)
    command = [sys.executable, "-m", "rsmoe_cli.main", "caption", "cut.tif", "-o", "out.gpkg"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "cut short" in result.stderr


def test_real_scenes_are_described_completely(rsmoe: Cli, engine: FakeEngine, shared: Path, tmp_path: Path) -> None:
    scenes = sorted((shared / "scenes").glob("*/*.tif"))
    assert scenes
    for scene in scenes:
        result = rsmoe("caption", scene, "-o", tmp_path / "out.geojson", "--overwrite", "--tile-size", 400, "--json")
        assert result.exit_code == 0, (scene, result.stderr)
        summary = json.loads(result.stdout)
        assert summary["coverage"] == 1
        assert summary["failed"] == 0
        with rasterio.open(scene) as dataset:
            assert summary["tiles"] == -(-dataset.width // 400) * -(-dataset.height // 400)
