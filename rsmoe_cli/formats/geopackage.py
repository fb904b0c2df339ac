"""Rows → GeoPackage: layers with typed columns, and the table `rsmoe_metadata` with the provenance."""

from __future__ import annotations

import sqlite3
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from rsmoe_cli.errors import OutputError
from rsmoe_cli.formats.base import Layer, Row

METADATA_TABLE = "rsmoe_metadata"
_CHUNK = 500
"""Rows that are held back until they are worth a transaction."""
# A scene without a CRS is written without one on purpose, and the user was told.
warnings.filterwarnings("ignore", message="'crs' was not provided")

_DTYPES: Mapping[type, str] = {str: "object", int: "int32", float: "float64"}


class GeoPackageWriter:
    """Writes rows in chunks; an empty layer with all columns is there from the beginning."""

    def __init__(self, path: Path, layer: Layer) -> None:
        """`path` must not exist yet."""
        self._path, self._layer = path, layer
        self._held: list[Row] = []
        self._rows: Counter[str] = Counter()
        self._placed: Counter[str] = Counter()
        self._save_rows(layer, [], append=False)

    def write(self, rows: Sequence[Row]) -> None:
        """Adds rows."""
        self._held.extend(rows)
        if len(self._held) >= _CHUNK:
            self._flush()

    def add(self, layer: Layer, rows: Sequence[Row]) -> bool:
        """Adds another layer, with all of its rows."""
        self._save_rows(layer, rows)
        return True

    def finish(self, metadata: Mapping[str, object]) -> None:
        """Adds the last rows and the table of keys and values, all as text."""
        if self._held:
            self._flush()
        pairs = list(_flat(metadata))
        table = pd.DataFrame({"key": [key for key, _ in pairs], "value": [value for _, value in pairs]})
        self._save(table, METADATA_TABLE, append=True)
        self._check()

    def _flush(self) -> None:
        self._save_rows(self._layer, self._held)
        self._held.clear()

    def _save_rows(self, layer: Layer, rows: Sequence[Row], append: bool = True) -> None:
        data = {
            name: pd.Series([row.values.get(name) for row in rows], dtype=_DTYPES[kind])
            for name, kind in layer.columns.items()
        }
        frame = gpd.GeoDataFrame(data, geometry=[row.geometry for row in rows], crs=layer.crs)
        self._save(frame, layer.name, append=append, geometry_type=layer.geometry)
        self._rows[layer.name] += len(rows)
        self._placed[layer.name] += sum(row.geometry is not None for row in rows)

    def _check(self) -> None:
        """GDAL finishes some things while it closes a file, and says nothing if there is no room for them."""
        with telling(self._path), closing(sqlite3.connect(self._path)) as base:
            for layer, rows in self._rows.items():
                [found] = base.execute(
                    f'SELECT (SELECT count(*) FROM "{layer}"), (SELECT count(*) FROM "rtree_{layer}_geom")'
                )
                if found != (rows, self._placed[layer]):
                    raise OSError(f"the layer {layer} is incomplete")

    def _save(self, frame: pd.DataFrame, layer: str, append: bool, geometry_type: str | None = None) -> None:
        with telling(self._path):
            pyogrio.write_dataframe(
                frame, self._path, layer=layer, driver="GPKG", append=append, geometry_type=geometry_type
            )


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Says in one line what GDAL could not write.

    Raises:
        OutputError: GDAL could not write the file.
    """
    try:
        yield
    except (DataSourceError, DataLayerError, sqlite3.Error, OSError) as error:
        raise OutputError(f"cannot write {path.name}: {error}; is the disk full?") from error


def _flat(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Nested keys initialised by dots, entries of lists numbered from 1, and their values as text."""
    if isinstance(value, Mapping):
        parts = [(str(name), part) for name, part in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(str(number), part) for number, part in enumerate(value, start=1)]
    else:
        yield key, "" if value is None else str(value)
        return
    for name, part in parts:
        yield from _flat(part, f"{key}.{name}" if key else name)
