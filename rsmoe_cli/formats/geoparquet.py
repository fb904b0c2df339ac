"""Rows → GeoParquet 1.0; the metadata is JSON under the key `rsmoe` of the file's own metadata.

Needs pyarrow, which the extra `parquet` installs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from rsmoe_cli.formats.base import Layer, Row, Writer, write_errors

_GEOMETRY = "geometry"
_ROW_GROUP = 10_000
"""Rows of a row group, which readers load as a whole; as many are buffered."""
_TYPES: Mapping[type, pa.DataType] = {str: pa.string(), int: pa.int32(), float: pa.float64()}


class GeoParquetWriter(Writer):
    """Writes one row group at a time."""

    def __init__(self, path: Path, layer: Layer) -> None:
        """`path` must not exist yet."""
        self._path, self._layer = path, layer
        self._buffer: list[Row] = []
        columns = [(name, _TYPES[type_]) for name, type_ in layer.columns.items()]
        schema = pa.schema([*columns, (_GEOMETRY, pa.binary())], metadata={"geo": json.dumps(_geo_metadata(layer))})
        with write_errors(path):
            self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def write(self, rows: Sequence[Row]) -> None:
        """Adds rows."""
        self._buffer.extend(rows)
        if len(self._buffer) >= _ROW_GROUP:
            self._flush()

    def finish(self, metadata: Mapping[str, object]) -> None:
        """Writes the last row group and the metadata."""
        self._flush()
        self._writer.add_key_value_metadata({"rsmoe": json.dumps(dict(metadata), ensure_ascii=False)})
        with write_errors(self._path):
            self._writer.close()

    def _flush(self) -> None:
        data = {name: [row.values.get(name) for row in self._buffer] for name in self._layer.columns}
        data[_GEOMETRY] = [None if row.geometry is None else shapely.to_wkb(row.geometry) for row in self._buffer]
        with write_errors(self._path):
            self._writer.write_table(pa.table(data, schema=self._writer.schema))
        self._buffer.clear()


def _geo_metadata(layer: Layer) -> dict[str, object]:
    """What the standard requires under the key `geo`; a null `crs` means an unknown reference system."""
    column = {
        "encoding": "WKB",
        "geometry_types": [] if layer.geometry == "Unknown" else [layer.geometry],
        "crs": None if layer.crs is None else layer.crs.to_json_dict(),
    }
    return {"version": "1.0.0", "primary_column": _GEOMETRY, "columns": {_GEOMETRY: column}}
