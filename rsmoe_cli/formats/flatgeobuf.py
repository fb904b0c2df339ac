"""Rows → FlatGeobuf: a single layer that can be read in parts by location, also over the network.

Nothing can be appended to such a file, so the rows are collected in a GeoPackage next to it and copied at the end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyogrio

from rsmoe_cli.formats.base import Layer, Row, Writer
from rsmoe_cli.formats.geopackage import METADATA_KEY, GeoPackageWriter, gdal_write_errors


class FlatGeobufWriter(Writer):
    """Collects rows in a temporary GeoPackage, so that memory does not grow with their number.

    The file has a spatial index, which changes the order of the rows; it has none if a row lacks a geometry, since the
    format does not allow both. The metadata is JSON under the key `rsmoe` of the header's metadata.
    """

    def __init__(self, path: Path, layer: Layer) -> None:
        """`path` must not exist yet."""
        self._path, self._layer = path, layer
        self._geopackage_path = path.with_suffix(".gpkg")
        self._geopackage = GeoPackageWriter(self._geopackage_path, layer)
        self._indexed, self._count = True, 0

    def write(self, rows: Sequence[Row]) -> None:
        """Adds rows."""
        self._indexed = self._indexed and all(row.geometry is not None for row in rows)
        self._count += len(rows)
        self._geopackage.write(rows)

    def finish(self, metadata: Mapping[str, object]) -> None:
        """Copies the rows into the FlatGeobuf file."""
        self._geopackage.finish({})
        with (
            gdal_write_errors(self._path),
            pyogrio.raw.open_arrow(self._geopackage_path, layer=self._layer.name, use_pyarrow=False) as (meta, stream),
        ):
            pyogrio.write_arrow(
                stream,
                self._path,
                layer=self._layer.name,
                driver="FlatGeobuf",
                geometry_name=meta["geometry_name"],
                geometry_type=self._layer.geometry,
                crs=self._layer.crs.to_wkt() if self._layer.crs is not None else None,
                layer_metadata={METADATA_KEY: json.dumps(dict(metadata), ensure_ascii=False)},
                SPATIAL_INDEX="YES" if self._indexed else "NO",
            )
        with gdal_write_errors(self._path):
            self._check()

    def _check(self) -> None:
        """Counts the rows, since GDAL does not report what it could not write while closing the file."""
        if self._count and len(pyogrio.read_bounds(self._path)[0]) != self._count:
            raise OSError("some rows are missing")
