"""Rows → GeoPackage: layers with typed columns; the metadata belongs to the main layer, as the standard has it."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import geopandas as gpd
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from rsmoe_cli.file_locks import connect_without_locks, has_locks
from rsmoe_cli.formats.base import Layer, Row, Writer, write_errors

METADATA_KEY = "rsmoe"
"""Name of the metadata, which is JSON, among what GDAL calls the metadata of a layer."""
_METADATA_TABLES = """
CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
    definition TEXT NOT NULL, scope TEXT NOT NULL, UNIQUE (table_name, column_name, extension_name));
CREATE TABLE IF NOT EXISTS gpkg_metadata (id INTEGER PRIMARY KEY ASC NOT NULL, md_scope TEXT NOT NULL DEFAULT 'dataset',
    md_standard_uri TEXT NOT NULL, mime_type TEXT NOT NULL DEFAULT 'text/xml', metadata TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS gpkg_metadata_reference (reference_scope TEXT NOT NULL, table_name TEXT, column_name TEXT,
    row_id_value INTEGER, timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    md_file_id INTEGER NOT NULL REFERENCES gpkg_metadata (id), md_parent_id INTEGER REFERENCES gpkg_metadata (id));
"""
_METADATA_EXTENSION = "http://www.geopackage.org/spec120/#extension_metadata"
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
        """Writes the last rows and the metadata."""
        if self._buffer:
            self._flush()
        self._check()
        self._add_metadata(json.dumps(dict(metadata), ensure_ascii=False))

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

    def _add_metadata(self, text: str) -> None:
        """Adds text as GDAL does, so that its readers find it. It is no table of its own, which would be a layer."""
        item = f"<MDI key={quoteattr(METADATA_KEY)}>{escape(text)}</MDI>"
        document = f"<GDALMultiDomainMetadata><Metadata>{item}</Metadata></GDALMultiDomainMetadata>"
        with gdal_write_errors(self._path), closing(self._connect()) as database, database:
            database.executescript(_METADATA_TABLES)
            for table in ("gpkg_metadata", "gpkg_metadata_reference"):
                known = database.execute("SELECT 1 FROM gpkg_extensions WHERE table_name = ?", [table]).fetchone()
                if known is None:
                    database.execute(
                        "INSERT INTO gpkg_extensions VALUES (?, NULL, 'gpkg_metadata', ?, 'read-write')",
                        [table, _METADATA_EXTENSION],
                    )
            added = database.execute(
                "INSERT INTO gpkg_metadata (md_scope, md_standard_uri, mime_type, metadata) VALUES (?, ?, ?, ?)",
                ["dataset", "http://gdal.org", "text/xml", document],
            )
            database.execute(
                "INSERT INTO gpkg_metadata_reference (reference_scope, table_name, md_file_id) VALUES ('table', ?, ?)",
                [self._layer.name, added.lastrowid],
            )

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
