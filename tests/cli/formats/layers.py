"""A layer of tiles and its rows, and files of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyogrio
from pyproj import CRS
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from rsmoe_cli.formats.base import Layer, Row, tile_values
from rsmoe_cli.formats.output import check_output
from rsmoe_cli.tiles.grid import Grid, Tile

NAMES = ("out.gpkg", "out.geojson", "out.fgb", "out.parquet")
WORLD = CRS.from_epsg(4326)
UTM = CRS.from_epsg(32631)
COLUMNS: dict[str, type] = {
    "tile_id": str,
    "row": int,
    "col": int,
    "caption": str,
    "confidence": float,
    "valid_fraction": float,
    "status": str,
    "error": str,
}
TILES = list(Grid(64, 32, 32))
METADATA = {"model": "fake", "tiles": 2, "crs": None}


def captioned(tile: Tile, footprint: BaseGeometry) -> Row:
    return Row(tile.id, {**tile_values(tile, 1.0), "caption": 'un "port" à Alger', "confidence": 0.75}, footprint)


def failed(tile: Tile, footprint: BaseGeometry | None = None) -> Row:
    return Row(tile.id, tile_values(tile, None, "cannot be read"), footprint)


def two_rows() -> list[Row]:
    """One with a caption and a footprint, and one without either."""
    return [captioned(TILES[0], box(3, 36, 4, 37)), failed(TILES[1])]


def many_rows(count: int) -> list[Row]:
    """Footprints of one unit of length, from left to right."""
    return [captioned(tile, box(tile.x, 0, tile.x + 1, 1)) for tile in Grid(count, 1, 1)]


def write(path: Path, crs: CRS | None, rows: Sequence[Row], overwrite: bool = True) -> Path:
    with check_output(path, "scene.tif", overwrite=overwrite).open(Layer("captions", COLUMNS, crs)) as writer:
        for row in rows:
            writer.write([row])
        writer.finish(METADATA)
    return path


def metadata_of(path: Path | str, layer: str | None = None) -> dict[str, Any]:
    """The metadata of an output, but not when it was created."""
    metadata = json.loads(pyogrio.read_info(path, layer=layer)["layer_metadata"]["rsmoe"])
    return {name: value for name, value in metadata.items() if name != "created"}
