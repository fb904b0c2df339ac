"""How a scene has to be turned so that it is shown upright: north up, or a photo as viewers show it.

Rows of a file need not run from north to south: there are south-up, turned and mirrored rasters, and photos with an
EXIF tag. A stored image is turned by quarter turns and mirroring before it is looked at:

    stored pixels ──Orientation.upright──▶ upright pixels      Orientation.stored_point leads back

Directions in words ("top", "left") are those of upright images. Tiles, detections and footprints stay in stored pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

Values = TypeVar("Values", bound=NDArray[Any])

_MIN_TILT = 5.0
"""Degrees by which an upright scene may still be turned against the map before that is taken into account."""
_TO_EAST_AND_NORTH: dict[tuple[str, ...], tuple[tuple[float, float], tuple[float, float]]] = {
    ("west", "south"): ((-1, 0), (0, -1)),
    ("south", "west"): ((0, -1), (-1, 0)),
}
"""Directions of the axes of a reference system → matrix from its coordinates to easting and northing.

Other systems are drawn with their first coordinate to the right and the second one up.
"""


@dataclass(frozen=True)
class Orientation:
    """How the stored image of a scene is turned: rows and columns swapped, then mirrored along either axis."""

    is_transposed: bool = False
    """Whether rows and columns change places, before all else."""
    flips_columns: bool = False
    """Whether left and right change places."""
    flips_rows: bool = False
    """Whether top and bottom change places."""
    tilt: float = 0.0
    """Degrees by which the upright image is turned clockwise against the map, at most 45; 0 where that is little."""

    @property
    def is_as_stored(self) -> bool:
        """Whether the image is upright as it is."""
        return not (self.is_transposed or self.flips_columns or self.flips_rows)

    def upright(self, pixels: Values) -> Values:
        """HxW... or, where it is transposed, WxH... values of the upright image, from those of the stored one."""
        if self.is_as_stored:
            return pixels
        turned: Any = pixels.swapaxes(0, 1) if self.is_transposed else pixels
        turned = turned[:, ::-1] if self.flips_columns else turned
        return np.ascontiguousarray(turned[::-1] if self.flips_rows else turned)  # type: ignore[return-value]

    def upright_point(self, x: float, y: float, width: float, height: float) -> tuple[float, float]:
        """A point of a stored image of this size → the same point in the upright image, both in pixels."""
        if self.is_transposed:
            x, y, width, height = y, x, height, width
        return width - x if self.flips_columns else x, height - y if self.flips_rows else y

    def stored_point(self, x: float, y: float, width: float, height: float) -> tuple[float, float]:
        """The inverse of `upright_point`; the size is still that of the stored image."""
        if self.is_transposed:
            width, height = height, width
        x, y = width - x if self.flips_columns else x, height - y if self.flips_rows else y
        return (y, x) if self.is_transposed else (x, y)

    def on_map(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """A point of a stored image of this size → x, y, width and height within its bounding box on the map."""
        x, y = self.upright_point(x, y, width, height)
        if self.is_transposed:
            width, height = height, width
        if not self.tilt:
            return x, y, width, height
        cos, sin = math.cos(math.radians(self.tilt)), math.sin(math.radians(self.tilt))
        # Clockwise with y down: columns run along (cos, sin), rows along (-sin, cos).
        left, top = min(0.0, -sin * height), min(0.0, sin * width)
        return (
            *(cos * x - sin * y - left, sin * x + cos * y - top),
            *(cos * width + abs(sin) * height, abs(sin) * width + cos * height),
        )


AS_STORED = Orientation()
"""The first row is the top."""

_EXIF = {
    2: Orientation(flips_columns=True),
    3: Orientation(flips_columns=True, flips_rows=True),
    4: Orientation(flips_rows=True),
    5: Orientation(is_transposed=True),
    6: Orientation(is_transposed=True, flips_columns=True),
    7: Orientation(is_transposed=True, flips_columns=True, flips_rows=True),
    8: Orientation(is_transposed=True, flips_rows=True),
}


def exif_orientation(value: object) -> Orientation:
    """The orientation that an EXIF or TIFF tag (1 to 8) asks for; as stored for anything else."""
    try:
        return _EXIF.get(int(str(value)), AS_STORED)
    except ValueError:
        return AS_STORED


def map_orientation(columns: tuple[float, float], rows: tuple[float, float], crs: CRS | None) -> Orientation:
    """The orientation that puts north up.

    Args:
        columns: By how much both ground coordinates change from one column to the next.
        rows: Likewise, from one row to the next.
        crs: Reference system of the ground coordinates.
    """
    directions = tuple(axis.direction for axis in crs.axis_info[:2]) if crs is not None else ()
    to_map = np.array(_TO_EAST_AND_NORTH.get(directions, ((1, 0), (0, 1))))
    # Rows: east and south; columns: unit steps along columns and rows.
    steps = np.diag([1.0, -1.0]) @ to_map @ np.array([columns, rows], float).T
    lengths = np.hypot(*steps)
    if not (np.isfinite(steps).all() and lengths.all()):
        return AS_STORED
    steps /= lengths
    is_transposed = bool(abs(steps[0, 1]) + abs(steps[1, 0]) > abs(steps[0, 0]) + abs(steps[1, 1]) + 1e-9)
    (east_x, east_y), (south_x, south_y) = steps[:, ::-1] if is_transposed else steps
    signs = np.sign([east_x, south_y])
    tilts = math.atan2(south_x * signs[0], east_x * signs[0]), math.atan2(-east_y * signs[1], south_y * signs[1])
    tilt = math.degrees(sum(tilts) / 2)
    return Orientation(
        is_transposed,
        flips_columns=bool(signs[0] < 0),
        flips_rows=bool(signs[1] < 0),
        tilt=tilt if abs(tilt) >= _MIN_TILT else 0.0,
    )
