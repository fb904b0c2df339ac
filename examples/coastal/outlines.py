"""Outlines of ships, airplanes and houses in their own frames: metres forward and to the right of the middle."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from coastal.world import Points, Pose


def hull(length: float, beam: float) -> NDArray[np.float64]:
    """A ship's deck: blunt stern, straight sides, pointed bow (n, 2)."""
    back, front, half = -length / 2, length / 2, beam / 2
    bow = min(1.5 * beam, 0.4 * length)
    sides = [(back, 0.78 * half), (back + 0.04 * length, half), (front - bow, half), (front - 0.4 * bow, 0.62 * half)]
    return np.array([*sides, (front, 0.0), *[(u, -v) for u, v in reversed(sides)]])


def mirrored(points: Points) -> NDArray[np.float64]:
    """One side's outline, closed by its mirror image across the axis."""
    right = np.asarray(points, dtype=np.float64)
    return np.vstack([right, (right * (1, -1))[::-1]])


def fuselage(length: float) -> NDArray[np.float64]:
    """An airliner's body (n, 2)."""
    half = 0.052 * length
    shape = [(0.5, 0), (0.485, 0.45), (0.45, 0.85), (0.40, 1), (-0.26, 1), (-0.40, 0.6), (-0.5, 0.14)]
    return mirrored([(u * length, v * half) for u, v in shape])


def wings(length: float) -> NDArray[np.float64]:
    """Both swept wings (n, 2)."""
    return mirrored(
        np.array([(0.12, 0), (0.10, 0.05), (-0.10, 0.47), (-0.155, 0.47), (-0.075, 0.15), (-0.09, 0.0)]) * length
    )


def tailplane(length: float) -> NDArray[np.float64]:
    """The small wings at the tail (n, 2)."""
    return mirrored(np.array([(-0.37, 0), (-0.455, 0.18), (-0.49, 0.18), (-0.46, 0.0)]) * length)


def airplane(pose: Pose, length: float) -> Polygon:
    """The silhouette of an airplane on the ground."""
    parts = [Polygon(pose.ground(part(length))) for part in (fuselage, wings, tailplane)]
    return shapely.union_all(parts)


def rectangle(length: float, width: float) -> NDArray[np.float64]:
    """A rectangle about the middle (4, 2)."""
    u, v = length / 2, width / 2
    return np.array([(-u, -v), (u, -v), (u, v), (-u, v)])
