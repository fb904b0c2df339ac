"""Longitude and latitude at the edges of the world: rings → polygons within ±180 and ±90, and control points.

    ring of longitude and latitude ──world_polygon──▶ Polygon, or MultiPolygon cut at the 180th meridian

Longitudes jump at the 180th meridian, and have no meaning at a pole. Rings that enclose or touch a pole are therefore
handled in a plane around it, in which they are ordinary polygons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from rasterio.control import GroundControlPoint
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Point, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient
from shapely.ops import unary_union
from shapely.validation import make_valid

_AT_POLE = 1e-7
"""Degrees within which a point is at a pole: a centimetre."""
_WIDE, _HIGH = 45, 60
"""Control points are close to a pole if they span more degrees of longitude, all at higher latitudes than that."""
_DECIMALS = 10
"""Of unwrapped longitudes: 10 micrometres."""
_POLAR = {True: "EPSG:3995", False: "EPSG:3031"}
"""Polar stereographic systems of the northern and of the southern hemisphere."""
_QUADRANTS = tuple(
    (side, box(left, min(0, side) * 200, left + 200, max(0, side) * 200)) for side in (1, -1) for left in (-200, 0)
)
"""Parts of the plane around a pole, all with the pole at a corner; those with 1 have eastern longitudes."""


def valid_polygon(ring: NDArray[np.float64]) -> BaseGeometry | None:
    """Px2 points, not closed → a valid polygon, exterior counter-clockwise; None if it has no area."""
    polygon = Polygon(ring)
    parts = _parts([polygon if polygon.is_valid else make_valid(polygon)])
    return _oriented(parts) if parts else None


def world_polygon(ring: NDArray[np.float64], is_continuous: bool = False) -> BaseGeometry:
    """Px2 (longitude, latitude) in degrees, not closed → a polygon within ±180, in two parts if it crosses 180.

    Neighbouring points are taken to be less than half the world apart, unless longitudes are continuous: then they are
    right as they are, even beyond 180.
    """
    lons = ring[:, 0]
    if not is_continuous:
        unwrapped = np.unwrap(np.append(lons, lons[0]), period=360)
        if (around := _around_pole(ring, turns=abs(unwrapped[-1] - unwrapped[0]) > 180)) is not None:
            return around
        # Where it comes back to its start or to a meridian, unwrapping leaves errors of rounding: loops and slivers.
        lons = unwrapped[:-1].round(_DECIMALS)
    polygon = Polygon(np.column_stack([lons, ring[:, 1]]))
    first, last = (int(np.floor((lon + 180) / 360)) for lon in (lons.min(), lons.max()))
    if first == last or lons.max() == 180 + 360 * first:
        return orient(translate(polygon, -360 * first))
    worlds = range(first, last + 1)
    cuts = [translate(polygon, -360 * world).intersection(box(-180, -90, 180, 90)) for world in worlds]
    if np.ptp(lons) >= 360 - _AT_POLE:
        cuts = [unary_union(cuts)]
    return _oriented(_parts(cuts))


def _around_pole(ring: NDArray[np.float64], turns: bool) -> BaseGeometry | None:
    """The polygon of a ring that encloses or touches a pole; None for other rings. `turns` if it runs once around."""
    sign = 1.0 if ring[:, 1].mean() > 0 else -1.0
    radii, lons = 90 - sign * ring[:, 1], np.radians(ring[:, 0])
    if not turns and (radii > 90).any():
        return None  # most of the globe lies between it and that pole
    plane = Polygon(np.column_stack([radii * np.cos(lons), radii * np.sin(lons)])).buffer(0)
    if not turns and plane.distance(Point(0, 0)) > _AT_POLE:
        return None
    quarters = [
        Polygon(_quarter_ring(np.array(part.exterior.coords)[:-1], side, sign))
        for side, quadrant in _QUADRANTS
        for part in _parts([plane.intersection(quadrant)])
    ]
    return _oriented(_parts([unary_union([quarter.buffer(0) for quarter in quarters])]))


def _quarter_ring(points: NDArray[np.float64], side: int, sign: float) -> NDArray[np.float64]:
    """Longitudes and latitudes of a ring of one quadrant of the plane; at the pole, those of both neighbours."""
    radii = np.hypot(*points.T)
    at_pole = radii <= _AT_POLE
    # Longitudes from 0 to 180 on one side, and from -180 to 0 on the other one.
    lons = side * np.degrees(np.arctan2(np.abs(points[:, 1]), points[:, 0]))
    ring = []
    for index, (lon, radius) in enumerate(zip(lons, radii, strict=True)):
        if not at_pole[index]:
            ring.append((lon, sign * (90 - radius)))
            continue
        neighbours = (index - 1, (index + 1) % len(points))
        ring += [(lons[number], sign * 90) for number in neighbours if not at_pole[number]]
    return np.array(ring)


def _oriented(parts: Sequence[Polygon]) -> BaseGeometry:
    """One polygon, or several as a multipolygon, with exteriors counter-clockwise."""
    return orient(parts[0]) if len(parts) == 1 else MultiPolygon([orient(part) for part in parts])


def _parts(geometries: Sequence[BaseGeometry]) -> list[Polygon]:
    """The polygons of some geometries that have an area."""
    parts = (part for geometry in geometries for part in getattr(geometry, "geoms", [geometry]))
    return [part for part in parts if isinstance(part, Polygon) and part.area]


def continuous_control_points(points: Sequence[Any], crs: CRS | None) -> tuple[tuple[Any, ...], CRS | None]:
    """Ground control points that a polynomial can be fitted to, with the system that they are in.

    Longitudes that jump at the 180th meridian continue beyond it; points around a pole, or so close to it that no
    polynomial gives their longitudes, move to a polar system.
    """
    if crs is None or not crs.is_geographic or not points:
        return tuple(points), crs
    xs, ys = np.array([(point.x, point.y) for point in points], float).T
    if not np.isfinite([xs, ys]).all():
        return tuple(points), crs
    ordered = np.sort(xs % 360)
    gaps = np.diff(np.append(ordered, ordered[0] + 360))
    span = 360 - gaps.max()
    latitudes = np.abs(ys)
    is_one_hemisphere = (np.sign(ys) == np.sign(ys[0])).all() and latitudes.max() < 90 + _AT_POLE
    if is_one_hemisphere and (span >= 180 or (span > _WIDE and latitudes.min() > _HIGH)):
        polar = CRS.from_user_input(_POLAR[bool(ys[0] > 0)])
        return _moved(points, *Transformer.from_crs(crs, polar, always_xy=True).transform(xs, ys)), polar
    if np.ptp(xs) > 180 > span:
        start = ordered[(gaps.argmax() + 1) % len(ordered)]
        return _moved(points, start + (xs - start) % 360, ys), crs
    return tuple(points), crs


def _moved(points: Sequence[Any], xs: NDArray[np.float64], ys: NDArray[np.float64]) -> tuple[Any, ...]:
    return tuple(
        GroundControlPoint(row=point.row, col=point.col, x=float(x), y=float(y), z=point.z or 0.0)
        for point, x, y in zip(points, xs, ys, strict=True)
    )
