"""Where people live: houses in blocks and on their own, apartment buildings, a stadium, parked and driving cars."""

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from coastal.country import scatter
from coastal.outlines import rectangle
from coastal.plan import AIRFIELD, COAST_ROAD, HIGHWAY, SUBURB, TOWN, WEST_ROAD, smooth
from coastal.world import Colour, Pose, SceneObject

ROOFS: tuple[Colour, ...] = (
    (168, 98, 74),
    (150, 84, 64),
    (182, 116, 86),
    (128, 82, 66),
    (136, 116, 100),
    (118, 114, 112),
    (98, 98, 104),
    (176, 164, 150),
    (200, 196, 190),
)
PAINTS: tuple[Colour, ...] = (
    (236, 236, 236),
    (200, 204, 208),
    (40, 42, 46),
    (150, 36, 34),
    (44, 66, 116),
    (120, 124, 128),
)


def house(pose: Pose, length: float, width: float, rng: np.random.Generator) -> SceneObject:
    """A house with a roof of some colour and shape."""
    colour = tuple(np.array(ROOFS[rng.integers(len(ROOFS))]) + rng.normal(0, 7, 3))
    style = str(rng.choice(["gable", "hip", "flat"], p=[0.5, 0.35, 0.15]))
    return SceneObject(
        "house", Polygon(pose.ground(rectangle(length, width))), pose, length, width, colour, rng.uniform(5, 8), style
    )


def terrace(
    frame: Pose, u0: float, u1: float, v: float, facing: float, rng: np.random.Generator
) -> Iterator[SceneObject]:
    """A row of houses along a street; `v` is the street's edge and `facing` the side (+1, -1) on which they stand."""
    u = u0 + 3
    while u < u1 - 15:
        plot = rng.uniform(14.5, 20)
        length, width = plot - rng.uniform(1.6, 4.5), rng.uniform(11, 15)
        yield house(frame.inner(u + plot / 2, v + facing * (2.6 + width / 2 + rng.uniform(0, 1.6))), length, width, rng)
        u += plot


def courtyard(
    frame: Pose, u0: float, v0: float, u1: float, v1: float, rng: np.random.Generator
) -> Iterator[SceneObject]:
    """Apartment buildings around the four sides of a block."""
    depth, gap = 13.0, 3.0
    colour = tuple(np.array(ROOFS[rng.integers(len(ROOFS))]) + rng.normal(0, 6, 3))
    middle_u, middle_v = (u0 + u1) / 2, (v0 + v1) / 2
    long, short = u1 - u0 - 2 * gap, v1 - v0 - 2 * gap - 2 * depth - 2
    sides = [
        (middle_u, v0 + gap + depth / 2, long, depth),
        (middle_u, v1 - gap - depth / 2, long, depth),
        (u0 + gap + depth / 2, middle_v, depth, short),
        (u1 - gap - depth / 2, middle_v, depth, short),
    ]
    for u, v, du, dv in sides:
        pose, style = frame.inner(u, v, 0 if du > dv else 90), "gable" if rng.random() < 0.6 else "flat"
        shape = Polygon(pose.ground(rectangle(max(du, dv), min(du, dv))))
        yield SceneObject("building", shape, pose, max(du, dv), min(du, dv), colour, 13, style)


def town_blocks(us: NDArray[np.float64], vs: NDArray[np.float64], rng: np.random.Generator) -> Iterator[SceneObject]:
    """Fill the town's blocks: apartments in the middle, houses around, here and there a green square."""
    for u0, u1 in zip(us[:-1] + 7, us[1:] - 7, strict=True):
        for v0, v1 in zip(vs[:-1] + 6, vs[1:] - 6, strict=True):
            central = np.hypot((u0 + u1) / 2 - 40, ((v0 + v1) / 2) * 1.2) < 170
            if rng.random() < 0.05:
                continue
            if central and rng.random() < 0.8:
                yield from courtyard(TOWN, u0, v0, u1, v1, rng)
            else:
                yield from terrace(TOWN, u0, u1, v0, 1, rng)
                yield from terrace(TOWN, u0, u1, v1, -1, rng)


def suburb_blocks(rng: np.random.Generator) -> Iterator[SceneObject]:
    """Houses with wider gardens along the suburb's lanes."""
    for v in np.arange(-360, 361, 80.0):
        for facing in (-1, 1):
            for u in np.arange(-126, 126, 27.0):
                pose = SUBURB.inner(u + rng.uniform(-3, 3), v + facing * (17 + rng.uniform(-1, 3)), rng.choice([0, 90]))
                yield house(pose, rng.uniform(13, 18), rng.uniform(10, 13), rng)


def lone_houses(zone: BaseGeometry, rng: np.random.Generator) -> Iterator[SceneObject]:
    """Scattered houses, well apart."""
    for x, y in scatter(zone.buffer(-22), 104, rng):
        if rng.random() < 0.85:
            yield house(Pose(x, y, rng.uniform(0, 180)), rng.uniform(15, 21), rng.uniform(10, 14), rng)


def car(pose: Pose, rng: np.random.Generator) -> SceneObject:
    """A car, or now and then a van."""
    length = 4.5 if rng.random() < 0.9 else 6.5
    return SceneObject(
        "car", Polygon(pose.ground(rectangle(length, 2))), pose, length, 2, PAINTS[rng.integers(len(PAINTS))], 1.5
    )


def car_rows() -> list[tuple[Pose, float, float]]:
    """The rows of all car parks: where each starts, its length, and the direction in which cars stand."""
    rows = [
        (AIRFIELD.inner(-236, v), 412.0, facing)
        for v, facing in ((277, 90.0), (295, -90.0), (301, 90.0), (319, -90.0), (331, 90.0))
    ]
    rows += [
        (Pose(855, y), 125.0, facing)
        for y, facing in (
            (1058, 90.0),
            (1078, -90.0),
            (1084, 90.0),
            (1104, -90.0),
            (1110, 90.0),
            (1130, -90.0),
            (1136, 90.0),
            (1156, -90.0),
            (1162, 90.0),
            (1182, -90.0),
            (1190, 90.0),
        )
    ]
    return rows + [(Pose(706, y), 218.0, facing) for y, facing in ((2097, 90.0), (2115, -90.0), (2121, 90.0))]


def parked(rng: np.random.Generator) -> Iterator[SceneObject]:
    """Cars in their bays; about a third of the bays are free."""
    for start, length, facing in car_rows():
        for u in np.arange(2, length, 2.9):
            if rng.random() < 0.66:
                yield car(start.inner(u, rng.uniform(-0.3, 0.3), facing), rng)


def driving(rng: np.random.Generator) -> Iterator[SceneObject]:
    """Cars on the long roads, on the right-hand side."""
    for line, lane, gap in ((HIGHWAY, 5.0, 46), (COAST_ROAD, 3.4, 60), (WEST_ROAD, 2.4, 140)):
        road = smooth(line)
        for side in (-1, 1):
            along = rng.uniform(0, gap)
            while along < road.length - 10:
                (x, y), (x2, y2) = (road.interpolate(along + step).coords[0] for step in (0, 4))
                angle = float(np.degrees(np.arctan2(y2 - y, x2 - x)))
                yield car(Pose(x, y, angle).inner(0, side * lane, 0 if side > 0 else 180), rng)
                along += rng.uniform(0.3, 1.9) * gap


def stadium() -> SceneObject:
    """The bowl of stands around pitch and track."""
    pose = Pose(1215, 1130, 0)
    bowl = Polygon(pose.ground(rectangle(84, 24))).buffer(66, 24)
    return SceneObject("stadium", bowl, pose, 216, 156, (198, 200, 204), 9)


def bridges(roads: BaseGeometry, river: BaseGeometry) -> list[SceneObject]:
    """The stretches of road that lead over the river."""
    spans = []
    for line in (HIGHWAY, COAST_ROAD):
        deck = smooth(line).buffer(10 if line is HIGHWAY else 7.5, cap_style="flat") & river.buffer(8) & roads
        shape = max(shapely.get_parts(deck), key=shapely.area)
        axis = smooth(line) & shape
        middle, (a, b) = axis.interpolate(0.5, normalized=True), (axis.coords[0], axis.coords[-1])
        pose = Pose(middle.x, middle.y, float(np.degrees(np.arctan2(b[1] - a[1], b[0] - a[0]))))
        width = shape.area / axis.length
        spans.append(SceneObject("bridge", shape, pose, axis.length, width, (176, 174, 168), 9))
    return spans


def town_objects(
    zones: dict[str, BaseGeometry], us: NDArray[np.float64], vs: NDArray[np.float64], rng: np.random.Generator
) -> Iterator[SceneObject]:
    """Everything countable in town, suburb and countryside."""
    yield stadium()
    yield from town_blocks(us, vs, rng)
    yield from suburb_blocks(rng)
    yield from lone_houses(zones["sparse_residential"], rng)
    yield from parked(rng)
    yield from driving(rng)
