"""Rings in longitude and latitude that meet the 180th meridian or a pole, made into what RFC 7946 asks for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient


def wrap(ring: NDArray[np.float64]) -> BaseGeometry:
    """Px2 (longitude, latitude) in degrees, not closed → a polygon within ±180, in two parts if it crosses 180.

    Neighbouring points are taken to be less than half the world apart.
    """
    lons = np.unwrap(np.append(ring[:, 0], ring[0, 0]), period=360)
    points = np.column_stack([lons[:-1], ring[:, 1]])
    if abs(lons[-1] - lons[0]) > 180:
        points = _around_pole(np.column_stack([lons, np.append(ring[:, 1], ring[0, 1])]))
    polygon = Polygon(points)
    first, last = (int(np.floor((lon + 180) / 360)) for lon in (points[:, 0].min(), points[:, 0].max()))
    if first == last or points[:, 0].max() == 180 + 360 * first:
        return orient(translate(polygon, -360 * first))
    worlds = range(first, last + 1)
    cuts = [translate(polygon, -360 * world).intersection(box(-180, -90, 180, 90)) for world in worlds]
    parts = [part for cut in cuts for part in getattr(cut, "geoms", [cut]) if isinstance(part, Polygon) and part.area]
    return MultiPolygon([orient(part) for part in parts])


def _around_pole(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """A closed ring that runs once around a pole, led along the pole so that it encloses it."""
    pole = 90.0 if ring[:, 1].mean() > 0 else -90.0
    return np.vstack([ring, (ring[-1, 0], pole), (ring[0, 0], pole)])
