"""What an output is made of: layers, and their rows. What a command writes into them is in its own `*_rows.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from rsmoe_cli.tiles.grid import Tile


@dataclass(frozen=True)
class Layer:
    """What rows of one kind have in common."""

    name: str
    """Name of the layer in a GeoPackage, or of the collection in GeoJSON."""
    columns: Mapping[str, type]
    """Columns and their types."""
    crs: CRS | None
    """Reference system of the geometries; None if the scene has none."""
    geometry: Literal["Polygon", "Point", "Unknown"] = "Polygon"
    """What the rows lie on; unknown where footprints may be in two parts, cut at the 180th meridian."""


@dataclass(frozen=True)
class Row:
    """One row of a layer."""

    id: str
    """Its name among the rows of the layer."""
    values: Mapping[str, object]
    """Values by column; a column without one is null."""
    geometry: BaseGeometry | None
    """In the reference system of the layer; None where the ground is undefined."""


def tile_layer(name: str, columns: Mapping[str, type], target: CRS | None, own: CRS | None) -> Layer:
    """A layer of footprints that are brought into the system `target`, or kept in the scene's `own` if it is None."""
    cut = target is not None and target.is_geographic
    return Layer(name, columns, target or own, "Unknown" if cut else "Polygon")


def tile_values(tile: Tile, valid_fraction: float | None, error: str | None = None) -> dict[str, object]:
    """What every row about a tile says of it; `error` is one line on why it failed."""
    return {
        "tile_id": tile.id,
        "row": tile.row,
        "col": tile.col,
        "valid_fraction": valid_fraction,
        "status": "ok" if error is None else "failed",
        "error": error,
    }
