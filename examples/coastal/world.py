"""The vocabulary of the scene: poses, objects and the world they make up.

One frame serves layout and drawing: metres east (x) and south (y) of the scene's north-west corner, so that a ground
coordinate divided by the pixel size is a pixel coordinate. Angles are in degrees, from east towards south.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon, STRtree
from shapely.geometry.base import BaseGeometry

SIDE = 3024.0
"""The ground that the scene covers, in metres a side, whatever the number of pixels."""

COLLAR_LINE = 4998.0
"""Where x + y is larger, in the south-east corner, the imaginary camera saw nothing: that ground is nodata."""

VALID = Polygon([(0, 0), (SIDE, 0), (SIDE, COLLAR_LINE - SIDE), (COLLAR_LINE - SIDE, SIDE), (0, SIDE)])

Colour = tuple[float, float, float]
CARGO: tuple[Colour, ...] = (
    (150, 62, 50),
    (60, 92, 130),
    (196, 190, 178),
    (84, 112, 84),
    (182, 128, 64),
    (110, 112, 116),
)
"""Colours of containers."""

Points = Sequence[tuple[float, float]] | NDArray[np.float64]


@dataclass(frozen=True)
class Pose:
    """A place and a heading on the ground: the frame in which one object or one quarter is laid out."""

    x: float
    y: float
    angle: float = 0.0

    def ground(self, points: Points) -> NDArray[np.float64]:
        """Points (n, 2) of this frame (forward, right-hand side) as ground metres (n, 2)."""
        turn = np.radians(self.angle)
        forward, right = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
        local = np.asarray(points, dtype=np.float64)
        return local[:, :1] * forward + local[:, 1:] * right + (self.x, self.y)

    def rectangle(self, u0: float, v0: float, u1: float, v1: float) -> Polygon:
        """The rectangle between two opposite corners of this frame, as a polygon on the ground."""
        return Polygon(self.ground([(u0, v0), (u1, v0), (u1, v1), (u0, v1)]))

    def inner(self, u: float, v: float, angle: float = 0.0) -> "Pose":
        """A pose given in this frame, as a pose on the ground."""
        x, y = self.ground([(u, v)])[0]
        return Pose(float(x), float(y), self.angle + angle)


@dataclass(frozen=True)
class SceneObject:
    """One countable object: its exact outline, and what drawing needs to know."""

    label: str
    """What it is, such as `ship`."""
    shape: Polygon
    pose: Pose
    length: float
    """Extent along the heading, in metres."""
    width: float
    """Extent across the heading, in metres."""
    colour: Colour
    height: float
    """Height above the ground in metres; it sets the length of the shadow."""
    style: str = ""
    """Which variant is drawn, for example a gable or a flat roof."""


@dataclass(frozen=True)
class Field:
    """One field of a farm."""

    shape: Polygon
    angle: float
    """Direction of the rows in degrees."""
    spacing: float
    """Distance between rows in metres."""
    contrast: float
    """How far the rows stand out, in grey levels."""
    colour: Colour


@dataclass(frozen=True)
class World:
    """Everything that is in the scene, before a single pixel is drawn."""

    zones: dict[str, BaseGeometry]
    """A partition of the valid ground by land use: name → area."""
    surfaces: dict[str, BaseGeometry]
    """Ground to draw that is no zone of its own: quays, runways, jetties."""
    coast: NDArray[np.float64]
    """The natural waterline (n, 2), from west to east."""
    objects: list[SceneObject] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    trees: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    """Crowns as x, y and radius in metres (n, 3)."""


ALLOWED_ZONES = {
    "airplane": ("airfield",),
    "boat": ("harbour",),
    "bridge": ("road",),
    "building": ("residential", "airfield", "harbour", "industrial"),
    "car": ("parking", "road"),
    "house": ("residential", "sparse_residential"),
    "ship": ("sea", "harbour"),
    "stadium": ("sports",),
    "storage_tank": ("industrial",),
}
"""Label → the zones that it may lie in."""


def without_conflicts(candidates: Iterable[SceneObject], zones: dict[str, BaseGeometry]) -> list[SceneObject]:
    """The candidates that lie wholly in the zones allowed for them and touch no earlier one."""
    objects = list(candidates)
    allowed = {label: shapely.union_all([zones[name] for name in names]) for label, names in ALLOWED_ZONES.items()}
    for area in allowed.values():
        shapely.prepare(area)
    inside = [obj for obj in objects if allowed[obj.label].covers(obj.shape)]
    shapes = [obj.shape for obj in inside]
    dropped: set[int] = set()
    for first, second in sorted(STRtree(shapes).query(shapes, predicate="intersects").T.tolist()):
        if first < second and first not in dropped:
            dropped.add(second)
    return [obj for index, obj in enumerate(inside) if index not in dropped]
