"""What every output format is given: layers, rows and the metadata. What it offers in return: a writer.

The columns of a layer are up to the command that fills it; see `captioning/layer.py` and `asking/layer.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from rsmoe_cli.errors import OutputError
from rsmoe_cli.tiles.grid import Tile


@dataclass(frozen=True)
class Layer:
    """The schema that all rows of a layer share."""

    name: str
    """Name of the layer in a GeoPackage, or of the collection in GeoJSON."""
    columns: Mapping[str, type]
    """Column name → type of its values: `str`, `int` or `float`."""
    crs: CRS | None
    """Reference system of the geometries; None if it is unknown."""
    geometry: Literal["Polygon", "Point", "Unknown"] = "Polygon"
    """Geometry type; `Unknown` where polygons and multipolygons may be mixed."""


OWN_LAYERS: Mapping[str, Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "caption": {"captions": frozenset({"tile_id", "row", "col", "caption", "confidence", "status"})},
        "ask": {
            "answers": frozenset({"question", "tile_id", "row", "col", "answer", "evidence", "status"}),
            "detections": frozenset({"object", "confidence", "tile_id", "question"}),
        },
    }
)
"""Command → the layers that its next run replaces, each with columns by which it is known to be ours."""


@dataclass(frozen=True)
class Row:
    """One row of a layer."""

    id: str
    """Identifier, unique within the layer."""
    values: Mapping[str, object]
    """Values by column; a column without a value is null, and values that are not of a column are left out."""
    geometry: BaseGeometry | None
    """In the reference system of the layer; None where the position on the ground is unknown."""


class Writer(ABC):
    """Writes one output file. Created with the path of a new file and the main layer.

    Every method may raise `OutputError` where the file cannot be written; `write_errors` does that.
    """

    @abstractmethod
    def write(self, rows: Sequence[Row]) -> None:
        """Adds rows to the main layer. Should not keep all rows of a large scene in memory."""

    def add_layer(self, layer: Layer, rows: Sequence[Row]) -> bool:
        """Adds another layer with all of its rows; returns False if the format holds a single layer."""
        return False

    @abstractmethod
    def finish(self, metadata: Mapping[str, object]) -> None:
        """Adds the metadata, which may be nested, and completes the file."""


@contextmanager
def write_errors(path: Path, *types: type[Exception]) -> Iterator[None]:
    """Reports errors of these types, and `OSError`, in one line that names the file.

    Raises:
        OutputError: one of these errors was raised in the block.
    """
    caught: tuple[type[Exception], ...] = (OSError, *types)
    try:
        yield
    except caught as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise OutputError(f"cannot write {path.name}: {reason}; is the disk full?") from error


def rounded(value: float | None, decimals: int) -> float | None:
    """A number without the digits that mean nothing; None stays None."""
    return None if value is None else round(value, decimals)


def tile_values(
    tile: Tile, valid_fraction: float | None, error: str | None = None, metres_per_pixel: float | None = None
) -> dict[str, object]:
    """The values that every row about a tile has; `error` is one line on why the tile failed.

    `metres_per_pixel` is that of the scene, if it is known.
    """
    return {
        "tile_id": tile.id,
        "row": tile.row,
        "col": tile.col,
        "tile_m": None if metres_per_pixel is None else float(f"{tile.size * metres_per_pixel:.3g}"),
        "valid_fraction": rounded(valid_fraction, 4),
        "status": "ok" if error is None else "failed",
        "error": error,
    }
