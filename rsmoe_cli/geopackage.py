"""Records → GeoPackage: layer `captions` with typed columns, table `rsmoe_metadata` with the provenance."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
from pyogrio.errors import DataSourceError

from rsmoe_cli.errors import OutputError
from rsmoe_cli.records import CaptionRecord, Layer

LAYER = "captions"
METADATA_TABLE = "rsmoe_metadata"
_CHUNK = 500
"""Rows that are held back until they are worth a transaction."""
# A scene without a CRS is written without one on purpose, and the user was told.
warnings.filterwarnings("ignore", message="'crs' was not provided")

_DTYPES: Mapping[type, str] = {str: "object", int: "int32", float: "float64"}


class GeoPackageSink:
    """Writes rows in chunks; an empty layer with all columns is there from the beginning."""

    def __init__(self, path: Path, layer: Layer) -> None:
        """`path` must not exist yet."""
        self._path, self._layer = path, layer
        self._geometry_type = "Unknown" if layer.cut else "Polygon"
        self._held: list[CaptionRecord] = []
        self._flush(append=False)

    def write(self, records: Sequence[CaptionRecord]) -> None:
        """Adds rows."""
        self._held.extend(records)
        if len(self._held) >= _CHUNK:
            self._flush()

    def finish(self, metadata: Mapping[str, object]) -> None:
        """Adds the last rows and the table of keys and values, all as text."""
        if self._held:
            self._flush()
        table = pd.DataFrame({"key": list(metadata), "value": ["" if v is None else str(v) for v in metadata.values()]})
        self._save(table, METADATA_TABLE, append=True)

    def _flush(self, append: bool = True) -> None:
        rows = [record.values(self._layer.columns) for record in self._held]
        data = {
            name: pd.Series([row[name] for row in rows], dtype=_DTYPES[kind])
            for name, kind in self._layer.columns.items()
        }
        frame = gpd.GeoDataFrame(data, geometry=[record.geometry for record in self._held], crs=self._layer.crs)
        self._save(frame, LAYER, append=append, geometry_type=self._geometry_type)
        self._held.clear()

    def _save(self, frame: pd.DataFrame, layer: str, append: bool, geometry_type: str | None = None) -> None:
        try:
            pyogrio.write_dataframe(
                frame, self._path, layer=layer, driver="GPKG", append=append, geometry_type=geometry_type
            )
        except (DataSourceError, OSError) as error:
            raise OutputError(f"cannot write {self._path.name}: {error}; is the disk full?") from error
