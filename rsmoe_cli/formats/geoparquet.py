"""Rows → GeoParquet 1.0; the provenance is JSON under the key `rsmoe` of the file's metadata.

Needs pyarrow, which the extra `parquet` brings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from rsmoe_cli.errors import OutputError
from rsmoe_cli.formats.base import Layer, Row

_GEOMETRY = "geometry"
_GROUP = 10_000
"""Rows that are read in one go, and held back until there are so many."""
_TYPES: Mapping[type, pa.DataType] = {str: pa.string(), int: pa.int32(), float: pa.float64()}


class GeoParquetWriter:
    """Writes a group of rows at a time."""

    def __init__(self, path: Path, layer: Layer) -> None:
        """`path` must not exist yet."""
        self._path, self._layer = path, layer
        self._held: list[Row] = []
        columns = [(name, _TYPES[kind]) for name, kind in layer.columns.items()]
        schema = pa.schema([*columns, (_GEOMETRY, pa.binary())], metadata={"geo": json.dumps(_geo(layer))})
        try:
            self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        except OSError as error:
            raise self._refusal(error) from error

    def write(self, rows: Sequence[Row]) -> None:
        """Adds rows."""
        self._held.extend(rows)
        if len(self._held) >= _GROUP:
            self._flush()

    def add(self, layer: Layer, rows: Sequence[Row]) -> bool:
        """There is one layer only, so nothing is added."""
        return False

    def finish(self, metadata: Mapping[str, object]) -> None:
        """Adds the last rows and the provenance."""
        self._flush()
        self._writer.add_key_value_metadata({"rsmoe": json.dumps(dict(metadata), ensure_ascii=False)})
        try:
            self._writer.close()
        except OSError as error:
            raise self._refusal(error) from error

    def _flush(self) -> None:
        data = {name: [row.values.get(name) for row in self._held] for name in self._layer.columns}
        data[_GEOMETRY] = [None if row.geometry is None else shapely.to_wkb(row.geometry) for row in self._held]
        try:
            self._writer.write_table(pa.table(data, schema=self._writer.schema))
        except OSError as error:
            raise self._refusal(error) from error
        self._held.clear()

    def _refusal(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self._path.name}: {error}; is the disk full?")


def _geo(layer: Layer) -> dict[str, object]:
    """What the standard asks for under the key `geo`; a reference system of null is one that nobody knows."""
    column = {
        "encoding": "WKB",
        "geometry_types": [] if layer.geometry == "Unknown" else [layer.geometry],
        "crs": None if layer.crs is None else layer.crs.to_json_dict(),
    }
    return {"version": "1.0.0", "primary_column": _GEOMETRY, "columns": {_GEOMETRY: column}}
