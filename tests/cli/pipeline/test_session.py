"""Which scenes share an output, through the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pytest
from typer.testing import Result

from tests.cli.commands.test_ask import COUNT, ships
from tests.cli.fakes import FakeEngine

Cli = Callable[..., Result]


@pytest.mark.parametrize("name", ["out.gpkg", "out.geojson"])
def test_scenes_of_which_none_has_a_crs_share_a_file_in_pixels(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, name: str
) -> None:
    Path("b.tif").write_text("no raster")
    for scene in ("a.tif", "c.tif", "d.tif"):
        ships(tmp_path / scene, crs=None, transform=None)
    order = ("a.tif", "b.tif", "c.tif", "d.tif")
    result = rsmoe("ask", *order, COUNT, "-o", name)
    assert result.exit_code == 3, "b.tif is no raster"
    layer = gpd.read_file(name, layer="answers" if name.endswith("gpkg") else None)
    assert sorted(layer["scene"].unique()) == ["a.tif", "c.tif", "d.tif"]
    bounds = layer.total_bounds
    assert bounds.min() >= 0, "pixels, y down"
    assert bounds.max() > 1
    ships(tmp_path / "b.tif")
    retried = rsmoe("ask", *order, COUNT, "-o", name, "--retry-failed")
    assert retried.exit_code == 3
    assert "left out: b.tif has a CRS and others have none" in retried.stderr


def test_the_first_scene_alone_without_a_crs_is_left_out(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    ships(tmp_path / "plain.tif", crs=None)
    ships(tmp_path / "a.tif")
    result = rsmoe("ask", "plain.tif", "a.tif", COUNT, "-o", "out.gpkg")
    assert result.exit_code == 3
    assert "left out: plain.tif has no CRS, so it cannot share a file with others" in result.stderr
    assert gpd.read_file("out.gpkg", layer="answers").crs == "EPSG:4326"
