from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd

from tests.cli.formats.layers import COLUMNS, METADATA, WORLD, two_rows, write


def test_the_file_follows_the_standard(tmp_path: Path) -> None:
    path = write(tmp_path / "out.geojson", WORLD, two_rows())
    collection = json.loads(path.read_text(encoding="utf-8"))
    assert collection["type"] == "FeatureCollection"
    assert "crs" not in collection
    assert collection["metadata"] == METADATA
    first, second = collection["features"]
    assert list(first["properties"]) == list(COLUMNS)
    assert first["properties"]["caption"] == 'un "port" à Alger'
    assert first["properties"]["error"] is None
    assert second["geometry"] is None
    rows = gpd.read_file(path)
    assert rows.crs == WORLD
    assert rows.geometry.iloc[0].bounds == (3, 36, 4, 37)
    assert len(path.read_text(encoding="utf-8").splitlines()) > 3
