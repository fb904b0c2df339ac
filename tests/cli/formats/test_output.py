from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from pyproj import CRS

from rsmoe_cli.errors import OutputError
from rsmoe_cli.formats.output import check_output
from rsmoe_core.errors import UsageError
from tests.cli.formats.layers import UTM, WORLD
from tests.cli.rasters import SITE_CRS


def test_what_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    existing = tmp_path / "old.gpkg"
    existing.touch()
    (tmp_path / "folder.gpkg").mkdir()
    for name in ("out.shp", "out"):
        with pytest.raises(UsageError, match=r"unknown output type '.*'; choose \.gpkg, \.geojson, \.fgb or \.parquet"):
            check_output(tmp_path / name, "scene.tif")
    for name, message in [
        ("old.gpkg", "exists already; choose another name or add --overwrite"),
        ("none/out.gpkg", "mkdir -p"),
        ("folder.gpkg", "is a folder"),
        ("\udcff.gpkg", "the name is not valid UTF-8"),
    ]:
        with pytest.raises(OutputError, match=message):
            check_output(tmp_path / name, "scene.tif")
    with pytest.raises(UsageError, match="is the scene itself"):
        check_output(existing, str(existing), overwrite=True)
    with pytest.raises(UsageError, match=r"GeoJSON is always .*; for --dst-crs write a \.gpkg"):
        check_output(tmp_path / "out.geojson", "scene.tif", dst_crs="EPSG:3857")
    with pytest.raises(UsageError, match="unknown CRS 'EPSG:1'"):
        check_output(tmp_path / "out.gpkg", "scene.tif", dst_crs="EPSG:1")


def test_a_format_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("rsmoe_cli.formats.output.find_spec", lambda name: None if name == "pyarrow" else find(name))
    with pytest.raises(UsageError, match=r"needs pyarrow; pip install 'rsmoe\[parquet\]', or write a .gpkg"):
        check_output(tmp_path / "out.parquet", "scene.tif")


def test_the_output_decides_the_reference_system(tmp_path: Path) -> None:
    assert check_output(tmp_path / "a.gpkg", "s").target(UTM) is None
    assert check_output(tmp_path / "a.gpkg", "s", dst_crs="EPSG:4326").target(UTM) == WORLD
    assert check_output(tmp_path / "a.GeoJSON", "s").target(UTM) == WORLD
    assert check_output(tmp_path / "a.geojson", "s").target(None) is None
    with pytest.raises(OutputError, match="no CRS"):
        check_output(tmp_path / "a.gpkg", "s", dst_crs="EPSG:4326").target(None)
    assert check_output(tmp_path / "a.geojson", "s").notes(None)
    assert not check_output(tmp_path / "a.geojson", "s").notes(UTM)
    assert not check_output(tmp_path / "a.gpkg", "s").notes(None)
    local = CRS.from_wkt(SITE_CRS)
    with pytest.raises(OutputError, match=r"cannot transform the CRS of the scene, 'site', to 'WGS 84'"):
        check_output(tmp_path / "a.geojson", "s").target(local)
    assert check_output(tmp_path / "a.gpkg", "s").target(local) is None


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson"])
def test_several_scenes_share_a_file_in_longitude_and_latitude(tmp_path: Path, name: str) -> None:
    output = check_output(tmp_path / name, "first.tif", "second.tif")
    assert output.target(UTM) == WORLD
    with pytest.raises(OutputError, match=r"second.tif has no CRS, so it cannot share a file with others"):
        output.target(None, "second.tif")
    with pytest.raises(OutputError, match="process it on its own"):
        output.target(CRS.from_wkt(SITE_CRS), "second.tif")


def test_several_scenes_go_into_the_system_that_is_asked_for(tmp_path: Path) -> None:
    output = check_output(tmp_path / "a.gpkg", "first.tif", "second.tif", dst_crs="EPSG:3857")
    assert output.target(UTM) == CRS.from_epsg(3857)
