"""Rows → GeoPackage: layers with typed columns, and the table `rsmoe_metadata` of keys and values."""

from __future__ import annotations

import sqlite3
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from rsmoe_cli.file_locks import connect_without_locks, has_locks
from rsmoe_cli.formats.base import Layer, Row, Writer, write_errors

METADATA_TABLE = "rsmoe_metadata"
_BUFFERED_ROWS = 500
"""Rows of one transaction."""
_DTYPES: Mapping[type, str] = {str: "object", int: "int32", float: "float64"}

# A scene without a CRS is written without one on purpose; the user has been warned.
warnings.filterwarnings("ignore", message="'crs' was not provided")


class GeoPackageWriter(Writer):
    """Writes rows in transactions; the main layer exists with all of its columns from the beginning."""

    def __init__(self, path: Path, layer: Layer) -> None:
        """`path` must not exist yet."""
        self._path, self._layer = path, layer
        # GDAL's own way to read and write SQLite's files takes no locks. The file is ours alone.
        self._has_locks = has_locks(path.parent)
        pyogrio.set_gdal_config_options({"SQLITE_USE_OGR_VFS": None if self._has_locks else True})
        self._buffer: list[Row] = []
        self._rows: Counter[str] = Counter()
        """Rows written, by layer."""
        self._rows_with_geometry: Counter[str] = Counter()
        self._append_rows(layer, [], append=False)

    def write(self, rows: Sequence[Row]) -> None:
        """Adds rows."""
        self._buffer.extend(rows)
        if len(self._buffer) >= _BUFFERED_ROWS:
            self._flush()

    def add_layer(self, layer: Layer, rows: Sequence[Row]) -> bool:
        """Adds another layer with all of its rows."""
        self._append_rows(layer, rows)
        return True

    def finish(self, metadata: Mapping[str, object]) -> None:
        """Writes the last rows and the metadata, of which all values are text."""
        if self._buffer:
            self._flush()
        pairs = list(_flat(metadata))
        table = pd.DataFrame({"key": [key for key, _ in pairs], "value": [value for _, value in pairs]})
        self._append_frame(table, METADATA_TABLE, append=True)
        self._check()

    def _flush(self) -> None:
        self._append_rows(self._layer, self._buffer)
        self._buffer.clear()

    def _append_rows(self, layer: Layer, rows: Sequence[Row], append: bool = True) -> None:
        data = {
            name: pd.Series([row.values.get(name) for row in rows], dtype=_DTYPES[type_])
            for name, type_ in layer.columns.items()
        }
        frame = gpd.GeoDataFrame(data, geometry=[row.geometry for row in rows], crs=layer.crs)
        self._append_frame(frame, layer.name, append=append, geometry_type=layer.geometry)
        self._rows[layer.name] += len(rows)
        self._rows_with_geometry[layer.name] += sum(row.geometry is not None for row in rows)

    def _append_frame(self, frame: pd.DataFrame, layer: str, append: bool, geometry_type: str | None = None) -> None:
        with gdal_write_errors(self._path):
            pyogrio.write_dataframe(
                frame, self._path, layer=layer, driver="GPKG", append=append, geometry_type=geometry_type
            )

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path) if self._has_locks else connect_without_locks(self._path)

    def _check(self) -> None:
        """Counts the rows, since GDAL does not report what it could not write while closing the file."""
        with gdal_write_errors(self._path), closing(self._connect()) as database:
            for layer, rows in self._rows.items():
                [counts] = database.execute(
                    f'SELECT (SELECT count(*) FROM "{layer}"), (SELECT count(*) FROM "rtree_{layer}_geom")'
                )
                if counts != (rows, self._rows_with_geometry[layer]):
                    raise OSError(f"the layer {layer} is incomplete")


def gdal_write_errors(path: Path) -> AbstractContextManager[None]:
    """`write_errors` for files that GDAL and SQLite write."""
    return write_errors(path, DataSourceError, DataLayerError, sqlite3.Error)


def _flat(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Nested keys joined by dots, items of lists numbered from 1, and their values as text."""
    if isinstance(value, Mapping):
        items = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(number), item) for number, item in enumerate(value, start=1)]
    else:
        yield key, "" if value is None else str(value)
        return
    for name, item in items:
        yield from _flat(item, f"{key}.{name}" if key else name)
