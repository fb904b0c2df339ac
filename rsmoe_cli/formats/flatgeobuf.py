"""Rows → FlatGeobuf: one layer in one file, which is read in parts by place, over the network too.

Nothing can be added to such a file, so the rows are collected in a GeoPackage beside it, and streamed from there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyogrio

from rsmoe_cli.formats.base import Layer, Row
from rsmoe_cli.formats.geopackage import GeoPackageWriter, telling


class FlatGeobufWriter:
    """Keeps the rows in a GeoPackage until all are there; memory does not grow with their number.

    The file has a spatial index, which puts the rows into an order of its own; not if a row has no geometry, since such
    files cannot have one. The provenance is the entry `rsmoe` of the header's metadata, as JSON.
    """

    def __init__(self, path: Path, layer: Layer) -> None:
        """`path` must not exist yet."""
        self._path, self._layer = path, layer
        self._collected = path.with_suffix(".gpkg")
        self._rows = GeoPackageWriter(self._collected, layer)
        self._indexed, self._count = True, 0

    def write(self, rows: Sequence[Row]) -> None:
        """Adds rows."""
        self._indexed = self._indexed and all(row.geometry is not None for row in rows)
        self._count += len(rows)
        self._rows.write(rows)

    def add(self, layer: Layer, rows: Sequence[Row]) -> bool:
        """There is one layer only, so nothing is added."""
        return False

    def finish(self, metadata: Mapping[str, object]) -> None:
        """Makes the file."""
        self._rows.finish({})
        with (
            telling(self._path),
            pyogrio.raw.open_arrow(self._collected, layer=self._layer.name, use_pyarrow=False) as (meta, stream),
        ):
            pyogrio.write_arrow(
                stream,
                self._path,
                layer=self._layer.name,
                driver="FlatGeobuf",
                geometry_name=meta["geometry_name"],
                geometry_type=self._layer.geometry,
                crs=self._layer.crs.to_wkt() if self._layer.crs is not None else None,
                layer_metadata={"rsmoe": json.dumps(dict(metadata), ensure_ascii=False)},
                SPATIAL_INDEX="YES" if self._indexed else "NO",
            )
        with telling(self._path):
            self._check()

    def _check(self) -> None:
        """GDAL writes the last bytes while it closes a file, and says nothing if there is no room for them."""
        if self._count and len(pyogrio.read_bounds(self._path)[0]) != self._count:
            raise OSError("some rows are missing")
