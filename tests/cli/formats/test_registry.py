from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import shapely
from typer.testing import Result

from rsmoe_cli.formats.base import Layer, Row, Writer
from rsmoe_cli.formats.registry import (
    OUTPUT_FORMATS,
    RECOMMENDED,
    OutputFormat,
    find_output_format,
    register_output_format,
    suffixes,
)
from rsmoe_core.errors import UsageError
from tests.cli.fakes import FakeEngine
from tests.cli.rasters import rgb


class CsvWriter(Writer):
    """An output format from outside of the package."""

    def __init__(self, path: Path, layer: Layer) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._csv = csv.DictWriter(self._file, [*layer.columns, "wkt"], extrasaction="ignore")
        self._csv.writeheader()

    def write(self, rows: Sequence[Row]) -> None:
        self._csv.writerows({**row.values, "wkt": shapely.to_wkt(row.geometry)} for row in rows)

    def finish(self, metadata: Mapping[str, object]) -> None:
        self._file.close()


@pytest.fixture
def csv_format(monkeypatch: pytest.MonkeyPatch) -> OutputFormat:
    monkeypatch.setattr("rsmoe_cli.formats.registry.OUTPUT_FORMATS", registered := dict(OUTPUT_FORMATS))
    register_output_format(OutputFormat(".csv", "CSV", CsvWriter))
    return registered[".csv"]


def test_captions_are_written_in_a_format_from_outside(
    csv_format: OutputFormat, rsmoe: Callable[..., Result], engine: FakeEngine, tmp_path: Path
) -> None:
    rgb(tmp_path / "a.tif")
    result = rsmoe("caption", "a.tif", "-o", "out.csv", "--tile-size", "32")
    assert result.exit_code == 0, result.stderr
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["tile_id"] for row in rows] == [f"r{row:04d}c{col:04d}" for row in range(2) for col in range(3)]
    assert all(row["caption"].startswith("mean colour") for row in rows)
    assert rows[0]["wkt"].startswith("POLYGON ((500")


def test_a_format_is_known_by_its_suffix_in_any_case(csv_format: OutputFormat) -> None:
    assert find_output_format(Path("a.CSV")) is csv_format
    assert suffixes() == ".gpkg, .geojson, .fgb, .parquet or .csv"
    with pytest.raises(UsageError, match=r"unknown output type '\.tsv'; choose .*\.parquet or \.csv"):
        find_output_format(Path("a.tsv"))
    with pytest.raises(UsageError, match=r"the suffix '\.csv' is taken"):
        register_output_format(csv_format)


def test_the_recommended_format_has_no_limits() -> None:
    recommended = OUTPUT_FORMATS[RECOMMENDED]
    assert recommended.many_layers
    assert not recommended.always_lonlat
    assert recommended.requires is None


def test_help_needs_no_heavy_library() -> None:
    code = "import sys, rsmoe_cli.formats.registry as r; print(r.suffixes(), *sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.startswith(".gpkg, .geojson, .fgb or .parquet ")
    assert not {"pyproj", "shapely", "geopandas", "numpy"} & set(result.stdout.split())
