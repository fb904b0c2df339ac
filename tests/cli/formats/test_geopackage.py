from __future__ import annotations

import json
import sqlite3
import warnings
from pathlib import Path

import geopandas as gpd
import pytest
from shapely.geometry import Point, box

from rsmoe_cli.errors import OutputError
from rsmoe_cli.formats.base import Layer, Row
from rsmoe_cli.formats.output import check_output
from tests.cli.formats.layers import (
    COLUMNS,
    METADATA,
    TILES,
    UTM,
    WORLD,
    failed,
    many_rows,
    metadata_of,
    two_rows,
    write,
)
from tests.cli.full_disk import limited


def test_metadata_belongs_to_the_layer_and_is_none_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "out.gpkg", UTM, two_rows())
    assert metadata_of(path) == METADATA
    with warnings.catch_warnings(action="error"):
        assert len(gpd.read_file(path)) == 2, "no warning of several layers"


def test_layers_are_registered_and_typed_by_the_standard(tmp_path: Path) -> None:
    path = write(tmp_path / "out.gpkg", UTM, [failed(TILES[0], box(0, 0, 1, 1))])
    with sqlite3.connect(path) as database:
        contents = dict(database.execute("SELECT table_name, data_type FROM gpkg_contents"))
        assert contents == {"captions": "features"}
        assert database.execute("SELECT srs_id, geometry_type_name FROM gpkg_geometry_columns").fetchall() == [
            (32631, "POLYGON")
        ]
        types = {name: type_ for _, name, type_, *_ in database.execute("PRAGMA table_info(captions)")}
    assert types["caption"] == types["error"] == "TEXT"
    assert types["confidence"] == types["valid_fraction"] == "REAL"
    assert types["row"] == types["col"] == "MEDIUMINT"


def test_many_transactions_lose_nothing_and_keep_the_order(tmp_path: Path) -> None:
    rows = many_rows(1200)
    table = gpd.read_file(write(tmp_path / "out.gpkg", UTM, rows), layer="captions")
    assert table["tile_id"].tolist() == [row.id for row in rows]


def test_there_is_room_for_another_layer_and_for_nested_metadata(tmp_path: Path) -> None:
    points = Layer("found", {"label": str}, WORLD, "Point")
    rows = [Row("1", {"label": "ship"}, Point(3, 36)), Row("2", {}, None)]
    for name in ("out.gpkg", "out.geojson"):
        with check_output(tmp_path / name, "scene.tif").open(Layer("answers", COLUMNS, WORLD)) as writer:
            writer.add_layer(points, rows)
            writer.finish({"tool": "rsmoe <&>", "answers": [{"answer": 27, "interval": (24, 31)}, {"interval": None}]})
    found = gpd.read_file(tmp_path / "out.gpkg", layer="found")
    assert found["label"].tolist()[0] == "ship"
    assert found.geometry.tolist() == [Point(3, 36), None]
    assert len(gpd.read_file(tmp_path / "out.gpkg", layer="answers")) == 0
    assert metadata_of(tmp_path / "out.gpkg", "answers") == {
        "tool": "rsmoe <&>",
        "answers": [{"answer": 27, "interval": [24, 31]}, {"interval": None}],
    }
    collection = json.loads((tmp_path / "out.geojson").read_text())
    assert collection["name"] == "answers"
    assert collection["metadata"]["answers"][0]["interval"] == [24, 31]


def test_an_index_that_finds_no_room_is_noticed(tmp_path: Path) -> None:
    """GDAL makes it while it closes a GeoPackage, and does not report that it could not."""
    size = write(tmp_path / "out.gpkg", None, two_rows()).stat().st_size
    messages = set()
    for share in range(50, 100, 5):
        refused = pytest.raises(OutputError, match=r"^cannot write out.gpkg: ")
        with limited(size * share // 100), refused as refusal:
            write(tmp_path / "out.gpkg", None, two_rows())
        messages.add(str(refusal.value))
    assert any("rtree_captions_geom" in text for text in messages)
