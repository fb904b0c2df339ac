from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine

from rsmoe_cli.captioning.layer import DESCRIPTIONS
from rsmoe_cli.captioning.run import CaptionJob, caption_scenes
from rsmoe_cli.option_groups import TilingOptions
from rsmoe_cli.pipeline.session import open_session
from rsmoe_cli.pipeline.stats import RunSummary
from rsmoe_cli.tiles.grid import Grid
from tests.cli.fakes import FakeEngine
from tests.cli.rasters import noise, rgb, write_raster


def run(
    path: str,
    out: Path,
    engine: FakeEngine,
    size: int = 32,
    overlap: int = 0,
    prompts: bool = False,
    counts: bool = False,
) -> RunSummary:
    job = CaptionJob([path], TilingOptions(None, "auto", str(size), overlap), prompts=prompts, counts=counts)
    with open_session(job, lambda: engine, DESCRIPTIONS, out) as session:
        summary = caption_scenes(session, job)
        session.finish("")
        return summary


def test_every_tile_gets_its_own_caption_in_tile_order(tmp_path: Path) -> None:
    values = np.zeros((3, 96, 128), np.uint8)
    for tile in Grid(128, 96, 32):
        values[:, tile.y : tile.y + 32, tile.x : tile.x + 32] = np.array([tile.row, tile.col, 200])[:, None, None] + 10
    path = write_raster(tmp_path / "a.tif", values, "red green blue", photometric="RGB")
    engine = FakeEngine(batch_size=5)
    summary = run(path, tmp_path / "out.gpkg", engine)
    rows = gpd.read_file(tmp_path / "out.gpkg", layer="captions")
    assert rows["caption"].tolist() == [f"mean colour {r + 10} {c + 10} 210" for r in range(3) for c in range(4)]
    for row in rows.itertuples():
        left, top = 500_000 + 320 * row.col, 4_000_000 - 320 * row.row
        assert row.geometry.bounds == (left, top - 320, left + 320, top)
    assert engine.batches == [5, 5, 2]
    assert (summary.tiles, summary.captioned, summary.skipped, summary.failed) == (12, 12, 0, 0)
    assert summary.coverage == 1


def test_blank_tiles_are_counted_but_not_sent(tmp_path: Path) -> None:
    values = noise(3, 64, 64)
    values[:, :32, :32] = 0
    values[:, 32:, 40:] = 0
    path = write_raster(tmp_path / "a.tif", values, "red green blue", nodata=0, photometric="RGB")
    engine = FakeEngine()
    summary = run(path, tmp_path / "out.geojson", engine)
    assert (summary.captioned, summary.skipped) == (3, 1)
    collection = json.loads((tmp_path / "out.geojson").read_text())
    properties = [feature["properties"] for feature in collection["features"]]
    assert [row["tile_id"] for row in properties] == ["r0000c0001", "r0001c0000", "r0001c0001"]
    assert [row["valid_fraction"] for row in properties] == [1.0, 1.0, 0.25]
    metadata = collection["metadata"]
    assert metadata["tiles_skipped"] == 1
    assert metadata["coverage"] == 1
    assert metadata["bands"] == "1 (red), 2 (green), 3 (blue)"
    assert (metadata["model"], metadata["model_revision"]) == ("fake", "abc123")
    assert metadata["source"] == "a.tif"
    assert (metadata["source_crs"], metadata["crs"]) == ("EPSG:32631", "EPSG:4326")


def test_a_failed_tile_does_not_affect_its_batch(tmp_path: Path) -> None:
    values = noise(3, 64, 96)
    values[:, 32, 32] = (1, 2, 3)
    path = write_raster(tmp_path / "a.tif", values, "red green blue", photometric="RGB")
    engine = FakeEngine(batch_size=6, poison=(1, 2, 3))
    summary = run(path, tmp_path / "out.gpkg", engine)
    assert engine.batches == [6, 1, 1, 1, 1, 1, 1]
    rows = gpd.read_file(tmp_path / "out.gpkg", layer="captions")
    assert rows["status"].tolist() == ["ok"] * 4 + ["failed", "ok"]
    assert rows["error"].dropna().tolist() == ["cannot be captioned: poisoned image"]
    assert summary.failed == 1
    assert summary.coverage == pytest.approx(5 / 6)


def test_overlap_counts_every_valid_pixel_once(tmp_path: Path) -> None:
    values = noise(3, 80, 80)
    values[:, 0, 0] = (1, 2, 3)
    path = write_raster(tmp_path / "a.tif", values, "red green blue", photometric="RGB")
    summary = run(path, tmp_path / "out.gpkg", FakeEngine(poison=(1, 2, 3)), size=32, overlap=8)
    assert summary.tiles == 9
    assert summary.coverage == 1 - 28 * 28 / (80 * 80)


def test_tiles_without_coordinates_have_rows_without_geometry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    full_disk = {
        "crs": "+proj=geos +h=35785831 +sweep=y +ellps=WGS84",
        "transform": Affine(11e4, 0, -5.5e6, 0, -11e4, 5.5e6),
    }
    run(rgb(tmp_path / "a.tif", 100, 100, **full_disk), tmp_path / "out.geojson", FakeEngine(), size=16)
    rows = gpd.read_file(tmp_path / "out.geojson")
    assert len(rows) == 49
    assert rows.geometry.isna().any()
    assert not rows.geometry.isna().all()
    assert "rows without a footprint" in caplog.text


def test_prompts_are_written_on_request(tmp_path: Path) -> None:
    run(rgb(tmp_path / "a.tif"), tmp_path / "out.gpkg", FakeEngine(), prompts=True)
    rows = gpd.read_file(tmp_path / "out.gpkg", layer="captions")
    assert set(rows["prompt_objects"]) == {"prompt for objects"}


def test_the_engine_sees_large_tiles_at_twice_its_size(tmp_path: Path) -> None:
    engine = FakeEngine(image_size=16)
    run(rgb(tmp_path / "a.tif", 300, 300), tmp_path / "out.gpkg", engine, size=150)
    assert {request.image.shape for request in engine.requests} == {(32, 32, 3)}


def test_a_fourth_expert_has_its_columns(tmp_path: Path) -> None:
    engine = FakeEngine(experts=("theme", "objects", "relations", "weather"))
    run(rgb(tmp_path / "a.tif"), tmp_path / "out.gpkg", engine, prompts=True)
    rows = gpd.read_file(tmp_path / "out.gpkg", layer="captions")
    assert set(rows["weather"]) == {"draft of weather"}
    assert set(rows["prompt_weather"]) == {"prompt for weather"}


@pytest.mark.parametrize(("counts", "source"), [(True, "detected"), (False, "generated")])
def test_the_engine_detects_on_request_at_the_scale_of_its_images(tmp_path: Path, counts: bool, source: str) -> None:
    engine = FakeEngine(image_size=16)
    run(rgb(tmp_path / "a.tif", 300, 300), tmp_path / "out.geojson", engine, size=150, counts=counts)
    metres = pytest.approx(10 * 150 / 32, rel=1e-3) if counts else None  # images are 32 pixels wide
    assert [request.metres_per_pixel for request in engine.requests] == [metres] * 4
    assert json.loads((tmp_path / "out.geojson").read_text())["metadata"]["counts"] == source
