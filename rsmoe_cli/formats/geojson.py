"""Rows → GeoJSON (RFC 7946): one feature a line, and the provenance as member `metadata` of the collection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import shapely

from rsmoe_cli.errors import OutputError
from rsmoe_cli.formats.base import Layer, Row

_DECIMALS = 8
"""Digits kept of a longitude or latitude; about a millimetre on the ground."""


class GeoJsonWriter:
    """Writes each feature as it comes, so that memory does not grow with the scene."""

    def __init__(self, path: Path, layer: Layer) -> None:
        """`path` must not exist yet. Without a CRS coordinates are written as they are."""
        self._path, self._layer = path, layer
        self._separator = "\n"
        self._append('{"type": "FeatureCollection", "name": ' + json.dumps(layer.name) + ', "features": [')

    def write(self, rows: Sequence[Row]) -> None:
        """Adds rows."""
        lines = [json.dumps(self._feature(row), ensure_ascii=False, allow_nan=False) for row in rows]
        if lines:
            self._append(self._separator + ",\n".join(lines))
            self._separator = ",\n"

    def add(self, layer: Layer, rows: Sequence[Row]) -> bool:
        """There is one layer only, so nothing is added."""
        return False

    def finish(self, metadata: Mapping[str, object]) -> None:
        """Closes the collection."""
        self._append(f'\n],\n"metadata": {json.dumps(dict(metadata), ensure_ascii=False, indent=1)}}}\n')

    def _feature(self, row: Row) -> dict[str, object]:
        geometry = row.geometry
        if geometry is not None:
            shape = shapely.transform(geometry, lambda points: points.round(_DECIMALS)) if self._layer.crs else geometry
            geometry = shapely.geometry.mapping(shape)
        return {
            "type": "Feature",
            "id": row.id,
            "geometry": geometry,
            "properties": {name: row.values.get(name) for name in self._layer.columns},
        }

    def _append(self, text: str) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise OutputError(f"cannot write {self._path.name}: {error.strerror}; is the disk full?") from error
