from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest

from rsmoe_cli.errors import OutputError
from tests.cli.formats.layers import METADATA, UTM, WORLD, many_rows, two_rows, write


def test_metadata_is_in_the_header(tmp_path: Path) -> None:
    info = pyogrio.read_info(write(tmp_path / "out.fgb", WORLD, two_rows()))
    assert json.loads(info["layer_metadata"]["rsmoe"]) == METADATA


def test_there_is_an_index_if_every_row_has_a_geometry(tmp_path: Path) -> None:
    path = write(tmp_path / "out.fgb", UTM, many_rows(1200))
    assert pyogrio.read_info(path)["capabilities"]["fast_spatial_filter"]
    assert gpd.read_file(path, bbox=(100.5, 0.2, 102.5, 0.8))["col"].sort_values().tolist() == [100, 101, 102]
    assert len(gpd.read_file(path)) == 1200
    path = write(tmp_path / "unplaced.fgb", UTM, two_rows())
    assert not pyogrio.read_info(path)["capabilities"]["fast_spatial_filter"]


def test_missing_rows_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GDAL writes the last bytes while it closes the file, and does not report that it could not."""
    whole = pyogrio.write_arrow

    def without_the_end(stream: Any, path: Path, **options: Any) -> None:
        whole(stream, path, **options)
        os.truncate(path, path.stat().st_size - 100)

    rows = many_rows(20)
    write(tmp_path / "out.fgb", None, rows)
    monkeypatch.setattr("pyogrio.write_arrow", without_the_end)
    for cut in (rows, [*rows, two_rows()[1]]):  # with an index and without one
        with pytest.raises(OutputError, match=r"^cannot write out.fgb: "):
            write(tmp_path / "out.fgb", None, cut)
    assert len(gpd.read_file(tmp_path / "out.fgb")) == 20
