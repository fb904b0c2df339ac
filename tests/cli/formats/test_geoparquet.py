from __future__ import annotations

import json
from pathlib import Path

import geopandas as gpd
import pyarrow.parquet as pq
import pytest
from pyproj import CRS

from rsmoe_cli.formats import geoparquet
from tests.cli.formats.layers import METADATA, UTM, WORLD, many_rows, two_rows, write


def test_metadata_follows_the_standard(tmp_path: Path) -> None:
    metadata = pq.read_metadata(write(tmp_path / "out.parquet", WORLD, two_rows())).metadata
    assert json.loads(metadata[b"rsmoe"]) == METADATA
    geo = json.loads(metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.0.0", "geometry")
    assert CRS.from_json_dict(geo["columns"]["geometry"]["crs"]) == WORLD


def test_many_row_groups_keep_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geoparquet, "_ROW_GROUP", 100)
    rows = many_rows(250)
    path = write(tmp_path / "out.parquet", UTM, rows)
    assert pq.read_metadata(path).num_row_groups == 3
    assert gpd.read_parquet(path)["tile_id"].tolist() == [row.id for row in rows]
