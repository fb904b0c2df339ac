"""Rows → GeoJSON (RFC 7946): one feature per line, and the metadata as member `metadata` of the collection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import shapely

from rsmoe_cli.formats.base import Layer, Row, Writer, write_errors

_DECIMALS = 8
"""Decimals of a longitude or latitude; about a millimetre on the ground."""


class GeoJsonWriter(Writer):
    """Appends each feature at once, so that memory does not grow with the scene."""

    def __init__(self, path: Path, layer: Layer) -> None:
        """`path` must not exist yet. Without a CRS, coordinates are written as they are."""
        self._path, self._layer = path, layer
        self._separator = "\n"
        self._append('{"type": "FeatureCollection", "name": ' + json.dumps(layer.name) + ', "features": [')

    def write(self, rows: Sequence[Row]) -> None:
        """Adds features."""
        lines = [json.dumps(self._feature(row), ensure_ascii=False, allow_nan=False) for row in rows]
        if lines:
            self._append(self._separator + ",\n".join(lines))
            self._separator = ",\n"

    def finish(self, metadata: Mapping[str, object]) -> None:
        """Closes the collection."""
        self._append(f'\n],\n"metadata": {json.dumps(dict(metadata), ensure_ascii=False, indent=1)}}}\n')

    def _feature(self, row: Row) -> dict[str, object]:
        geometry = row.geometry
        if geometry is not None and self._layer.crs is not None:
            geometry = shapely.transform(geometry, lambda points: points.round(_DECIMALS))
        return {
            "type": "Feature",
            "id": row.id,
            "geometry": None if geometry is None else shapely.geometry.mapping(geometry),
            "properties": {name: row.values.get(name) for name in self._layer.columns},
        }

    def _append(self, text: str) -> None:
        with write_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(text)
