from __future__ import annotations

import importlib.util
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow.parquet as pq
import pyogrio
import pytest
from pyproj import CRS
from shapely.geometry import MultiPolygon, Point, box

from rsmoe_cli.captioning.layer import COLUMNS, PROMPT_COLUMNS, described, failed
from rsmoe_cli.errors import OutputError
from rsmoe_cli.formats.base import Layer, Row
from rsmoe_cli.formats.output import check_output
from rsmoe_cli.tiles.grid import Grid
from rsmoe_core.errors import UsageError
from rsmoe_core.types import Description
from tests.cli.full_disk import limited
from tests.cli.rasters import CUSTOM_CRS, SITE_CRS

TILES = list(Grid(64, 32, 32))
DESCRIPTION = Description('un "port" à Alger', "port", "ships", "near", 0.75, {"theme": "Where is it?"})


def two_rows() -> list[Row]:
    return [
        described(TILES[0], DESCRIPTION, 1.0, box(3, 36, 4, 37)),
        failed(TILES[1], "cannot be read", None, None),
    ]


def write(path: Path, crs: CRS | None, rows: list[Row], prompts: bool = False) -> Path:
    layer = Layer("captions", {**COLUMNS, **PROMPT_COLUMNS} if prompts else COLUMNS, crs)
    with check_output(path, "scene.tif", overwrite=True).open(layer) as sink:
        for row in rows:
            sink.write([row])
        sink.finish({"model": "fake", "tiles": 2, "crs": None})
    return path


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", CUSTOM_CRS, None])
def test_geopackage_is_read_back(tmp_path: Path, crs: str | None) -> None:
    wanted = CRS.from_user_input(crs) if crs else None
    path = write(tmp_path / "out.gpkg", wanted, two_rows())
    rows = gpd.read_file(path, layer="captions")
    assert list(rows.columns) == [*COLUMNS, "geometry"]
    assert rows.crs == wanted or (wanted is None and rows.crs.name.startswith("Undefined"))
    assert rows["caption"].tolist()[0] == 'un "port" à Alger'
    assert rows["status"].tolist() == ["ok", "failed"]
    assert rows["confidence"].isna().tolist() == [False, True]
    assert rows.geometry.iloc[0].bounds == (3, 36, 4, 37)
    assert rows.geometry.iloc[1] is None
    table = gpd.read_file(path, layer="rsmoe_metadata")
    assert dict(zip(table["key"], table["value"], strict=True)) == {"model": "fake", "tiles": "2", "crs": ""}


def test_geopackage_is_registered_and_typed_by_the_standard(tmp_path: Path) -> None:
    path = write(tmp_path / "out.gpkg", CRS.from_epsg(32631), [failed(TILES[0], "x", None, box(0, 0, 1, 1))])
    with sqlite3.connect(path) as database:
        contents = dict(database.execute("SELECT table_name, data_type FROM gpkg_contents"))
        assert contents == {"captions": "features", "rsmoe_metadata": "attributes"}
        assert database.execute("SELECT srs_id, geometry_type_name FROM gpkg_geometry_columns").fetchall() == [
            (32631, "POLYGON")
        ]
        types = {name: kind for _, name, kind, *_ in database.execute("PRAGMA table_info(captions)")}
    assert types["caption"] == types["error"] == "TEXT"
    assert types["confidence"] == types["valid_fraction"] == "REAL"
    assert types["row"] == types["col"] == "MEDIUMINT"


def test_many_chunks_lose_nothing_and_keep_their_order(tmp_path: Path) -> None:
    tiles = list(Grid(1200, 1, 1))
    rows = [described(tile, DESCRIPTION, 1.0, box(tile.x, 0, tile.x + 1, 1)) for tile in tiles]
    table = gpd.read_file(write(tmp_path / "out.gpkg", CRS.from_epsg(32631), rows), layer="captions")
    assert table["tile_id"].tolist() == [tile.id for tile in tiles]


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", CUSTOM_CRS, None])
@pytest.mark.parametrize("name", ["out.fgb", "out.parquet"])
def test_one_layer_formats_are_read_back(tmp_path: Path, name: str, crs: str | None) -> None:
    wanted = CRS.from_user_input(crs) if crs else None
    path = write(tmp_path / name, wanted, two_rows())
    rows = gpd.read_parquet(path) if name == "out.parquet" else gpd.read_file(path)
    assert list(rows.columns) == [*COLUMNS, "geometry"]
    assert rows.crs == wanted
    assert rows["caption"].tolist()[0] == 'un "port" à Alger'
    assert rows["status"].tolist() == ["ok", "failed"]
    assert rows["confidence"].isna().tolist() == [False, True]
    assert rows["row"].dtype == "int32"
    assert rows.geometry.iloc[0].bounds == (3, 36, 4, 37)
    assert rows.geometry.iloc[1] is None
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_each_format_keeps_the_provenance_in_its_own_way(tmp_path: Path) -> None:
    world = CRS.from_epsg(4326)
    parquet = pq.read_metadata(write(tmp_path / "out.parquet", world, two_rows())).metadata
    assert json.loads(parquet[b"rsmoe"]) == {"model": "fake", "tiles": 2, "crs": None}
    geo = json.loads(parquet[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.0.0", "geometry")
    assert CRS.from_json_dict(geo["columns"]["geometry"]["crs"]) == world
    info = pyogrio.read_info(write(tmp_path / "out.fgb", world, two_rows()))
    assert json.loads(info["layer_metadata"]["rsmoe"]) == {"model": "fake", "tiles": 2, "crs": None}


def test_flatgeobuf_has_an_index_where_every_row_has_a_place(tmp_path: Path) -> None:
    rows = [described(tile, DESCRIPTION, 1.0, box(tile.x, 0, tile.x + 1, 1)) for tile in Grid(1200, 1, 1)]
    path = write(tmp_path / "out.fgb", CRS.from_epsg(32631), rows)
    assert pyogrio.read_info(path)["capabilities"]["fast_spatial_filter"]
    assert gpd.read_file(path, bbox=(100.5, 0.2, 102.5, 0.8))["col"].sort_values().tolist() == [100, 101, 102]
    assert len(gpd.read_file(path)) == 1200
    path = write(tmp_path / "placeless.fgb", CRS.from_epsg(32631), two_rows())
    assert not pyogrio.read_info(path)["capabilities"]["fast_spatial_filter"]


@pytest.mark.parametrize("name", ["out.gpkg", "out.geojson", "out.fgb", "out.parquet"])
def test_footprints_in_two_parts_lie_beside_whole_ones(tmp_path: Path, name: str) -> None:
    parts = MultiPolygon([box(179, 0, 180, 1), box(-180, 0, -179, 1)])
    rows = [described(t, DESCRIPTION, 1.0, g) for t, g in zip(TILES, (parts, box(3, 36, 4, 37)), strict=True)]
    layer = Layer("captions", COLUMNS, CRS.from_epsg(4326), "Unknown")
    with check_output(tmp_path / name, "scene.tif").open(layer) as sink:
        sink.write(rows)
        sink.finish({})
    path = tmp_path / name
    found = gpd.read_parquet(path) if name == "out.parquet" else gpd.read_file(path, layer="captions")
    parts_of = dict(zip(found["tile_id"], found.geometry.apply(lambda g: len(getattr(g, "geoms", [g]))), strict=True))
    assert parts_of == {TILES[0].id: 2, TILES[1].id: 1}


@pytest.mark.parametrize("name", ["out.gpkg", "out.geojson", "out.fgb", "out.parquet"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path, name: str, share: float) -> None:
    rows = [described(tile, DESCRIPTION, 1.0, box(tile.x, 0, tile.x + 1, 1)) for tile in Grid(600, 1, 1)]
    path = write(tmp_path / name, None, rows)
    size = path.stat().st_size
    path.write_text("old")
    with limited(int(size * share)), pytest.raises(OutputError, match=r"^cannot write [^\n]*; is the disk full\?$"):
        write(path, None, rows)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert path.read_text() == "old"


def test_an_index_that_finds_no_room_is_missed(tmp_path: Path) -> None:
    """GDAL makes it while it closes a GeoPackage, and does not say that it could not."""
    size = write(tmp_path / "out.gpkg", None, two_rows()).stat().st_size
    said = set()
    for share in range(50, 100, 5):
        refused = pytest.raises(OutputError, match=r"^cannot write out.gpkg: ")
        with limited(size * share // 100), refused as refusal:
            write(tmp_path / "out.gpkg", None, two_rows())
        said.add(str(refusal.value))
    assert any("rtree_captions_geom" in text for text in said)


def test_rows_that_flatgeobuf_lacks_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GDAL writes the last bytes while it closes the file, and does not say that it could not."""
    whole = pyogrio.write_arrow

    def without_the_end(stream: Any, path: Path, **options: Any) -> None:
        whole(stream, path, **options)
        os.truncate(path, path.stat().st_size - 100)

    rows = [described(tile, DESCRIPTION, 1.0, box(tile.x, 0, tile.x + 1, 1)) for tile in Grid(20, 1, 1)]
    write(tmp_path / "out.fgb", None, rows)
    monkeypatch.setattr("pyogrio.write_arrow", without_the_end)
    for cut in (rows, [*rows, two_rows()[1]]):  # with an index and without one
        with pytest.raises(OutputError, match=r"^cannot write out.fgb: "):
            write(tmp_path / "out.fgb", None, cut)
    assert len(gpd.read_file(tmp_path / "out.fgb")) == 20


@pytest.mark.parametrize("name", ["out.gpkg", "out.geojson", "out.fgb", "out.parquet"])
def test_a_folder_that_vanishes_is_one_line(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    output = check_output(folder / name, "scene.tif")

    def vanish() -> None:
        with output.open(Layer("captions", COLUMNS, None)) as sink:
            folder.rename(tmp_path / "elsewhere")
            sink.write(two_rows())
            sink.finish({})

    with pytest.raises(OutputError, match=r"^cannot write [^\n]*"):
        vanish()
    with (
        pytest.raises(OutputError, match=r"cannot write into .*; choose another folder"),
        output.open(Layer("captions", COLUMNS, None)),
    ):
        pytest.fail("there is no place for it")


def test_parquet_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("rsmoe_cli.formats.output.find_spec", lambda name: None if name == "pyarrow" else find(name))
    with pytest.raises(UsageError, match=r"pip install 'rsmoe\[parquet\]', or write a .gpkg"):
        check_output(tmp_path / "out.parquet", "scene.tif")


@pytest.mark.parametrize("name", ["out.gpkg", "out.geojson", "out.fgb", "out.parquet"])
def test_an_output_without_rows_is_a_valid_file(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, CRS.from_epsg(4326), [])
    rows = gpd.read_parquet(path) if name == "out.parquet" else gpd.read_file(path)
    assert len(rows) == 0


def test_geojson_follows_the_standard(tmp_path: Path) -> None:
    path = write(tmp_path / "out.geojson", CRS.from_epsg(4326), two_rows(), prompts=True)
    collection = json.loads(path.read_text(encoding="utf-8"))
    assert collection["type"] == "FeatureCollection"
    assert "crs" not in collection
    assert collection["metadata"] == {"model": "fake", "tiles": 2, "crs": None}
    first, second = collection["features"]
    assert list(first["properties"]) == [*COLUMNS, *PROMPT_COLUMNS]
    assert first["properties"]["prompt_theme"] == "Where is it?"
    assert first["properties"]["prompt_objects"] is None
    assert second["geometry"] is None
    rows = gpd.read_file(path)
    assert rows.crs == CRS.from_epsg(4326)
    assert rows.geometry.iloc[0].bounds == (3, 36, 4, 37)
    assert len(path.read_text(encoding="utf-8").splitlines()) > 3


def test_a_geopackage_has_room_for_another_layer_and_for_nested_provenance(tmp_path: Path) -> None:
    points = Layer("found", {"thing": str}, CRS.from_epsg(4326), "Point")
    rows = [Row("1", {"thing": "ship"}, Point(3, 36)), Row("2", {}, None)]
    for name, room in (("out.gpkg", True), ("out.geojson", False), ("out.fgb", False), ("out.parquet", False)):
        with check_output(tmp_path / name, "scene.tif").open(Layer("answers", COLUMNS, CRS.from_epsg(4326))) as sink:
            assert sink.add_layer(points, rows) == room
            sink.finish({"tool": "rsmoe", "answers": [{"answer": 27, "interval": (24, 31)}, {"interval": None}]})
    found = gpd.read_file(tmp_path / "out.gpkg", layer="found")
    assert found["thing"].tolist()[0] == "ship"
    assert found.geometry.tolist() == [Point(3, 36), None]
    assert len(gpd.read_file(tmp_path / "out.gpkg", layer="answers")) == 0
    table = gpd.read_file(tmp_path / "out.gpkg", layer="rsmoe_metadata")
    assert dict(zip(table["key"], table["value"], strict=True)) == {
        "tool": "rsmoe",
        "answers.1.answer": "27",
        "answers.1.interval.1": "24",
        "answers.1.interval.2": "31",
        "answers.2.interval": "",
    }
    collection = json.loads((tmp_path / "out.geojson").read_text())
    assert collection["name"] == "answers"
    assert collection["metadata"]["answers"][0]["interval"] == [24, 31]


@pytest.mark.parametrize("name", ["out.gpkg", "out.geojson"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_broken_run_leaves_nothing_or_the_old_file(tmp_path: Path, name: str, error: type[BaseException]) -> None:
    def broken() -> None:
        with check_output(tmp_path / name, "scene.tif", overwrite=True).open(Layer("captions", COLUMNS, None)) as sink:
            sink.write(two_rows())
            assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == old
            raise error

    for old in ([], [name]):
        with pytest.raises(error):
            broken()
        assert [path.name for path in tmp_path.iterdir()] == old
        (tmp_path / name).write_text("old")
    assert (tmp_path / name).read_text() == "old"


def test_what_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    existing = tmp_path / "old.gpkg"
    existing.touch()
    (tmp_path / "folder.gpkg").mkdir()
    for name, message in [
        ("out.shp", r"choose \.gpkg, \.geojson, \.fgb or \.parquet"),
        ("out", r"choose \.gpkg, \.geojson, \.fgb or \.parquet"),
    ]:
        with pytest.raises(UsageError, match=message):
            check_output(tmp_path / name, "scene.tif")
    for name, message in [
        ("old.gpkg", "exists already; choose another name or add --overwrite"),
        ("none/out.gpkg", "mkdir -p"),
        ("folder.gpkg", "is a folder"),
    ]:
        with pytest.raises(OutputError, match=message):
            check_output(tmp_path / name, "scene.tif")
    with pytest.raises(UsageError, match="is the scene itself"):
        check_output(existing, str(existing), overwrite=True)
    with pytest.raises(UsageError, match="GeoJSON is always"):
        check_output(tmp_path / "out.geojson", "scene.tif", dst_crs="EPSG:3857")
    with pytest.raises(UsageError, match="unknown CRS 'EPSG:1'"):
        check_output(tmp_path / "out.gpkg", "scene.tif", dst_crs="EPSG:1")


def test_the_output_decides_the_reference_system(tmp_path: Path) -> None:
    utm, world = CRS.from_epsg(32631), CRS.from_epsg(4326)
    assert check_output(tmp_path / "a.gpkg", "s").target(utm) is None
    assert check_output(tmp_path / "a.gpkg", "s", dst_crs="EPSG:4326").target(utm) == world
    assert check_output(tmp_path / "a.geojson", "s").target(utm) == world
    assert check_output(tmp_path / "a.geojson", "s").target(None) is None
    with pytest.raises(OutputError, match="no CRS"):
        check_output(tmp_path / "a.gpkg", "s", dst_crs="EPSG:4326").target(None)
    assert check_output(tmp_path / "a.geojson", "s").notes(None)
    assert not check_output(tmp_path / "a.geojson", "s").notes(utm)
    assert not check_output(tmp_path / "a.gpkg", "s").notes(None)
    local = CRS.from_wkt(SITE_CRS)
    with pytest.raises(OutputError, match=r"cannot transform the CRS of the scene, 'site', to 'WGS 84'"):
        check_output(tmp_path / "a.geojson", "s").target(local)
    assert check_output(tmp_path / "a.gpkg", "s").target(local) is None


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson"])
def test_several_scenes_share_a_map_in_longitude_and_latitude(tmp_path: Path, name: str) -> None:
    output = check_output(tmp_path / name, "first.tif", "second.tif")
    assert output.target(CRS.from_epsg(32631)) == CRS.from_epsg(4326)
    with pytest.raises(OutputError, match=r"second.tif has no CRS, so it cannot share a file with others"):
        output.target(None, "second.tif")
    with pytest.raises(OutputError, match="process it on its own"):
        output.target(CRS.from_wkt(SITE_CRS), "second.tif")


def test_several_scenes_go_into_the_system_that_is_asked_for(tmp_path: Path) -> None:
    output = check_output(tmp_path / "a.gpkg", "first.tif", "second.tif", dst_crs="EPSG:3857")
    assert output.target(CRS.from_epsg(32631)) == CRS.from_epsg(3857)
