"""Harbour and sea: ships at the quays and under way, boats in the marina, warehouses and storage tanks."""

from collections.abc import Iterator

import numpy as np
import shapely
from shapely import Point, Polygon
from shapely.geometry.base import BaseGeometry

from coastal.outlines import hull, rectangle
from coastal.plan import JETTIES, PIERS, QUAY
from coastal.world import SIDE, Colour, Pose, SceneObject

HULLS: tuple[Colour, ...] = ((120, 46, 40), (44, 58, 84), (58, 60, 62), (70, 92, 84), (134, 66, 44))


def ship(pose: Pose, length: float, style: str, colour: Colour) -> SceneObject:
    """A ship; `style` is cargo, tanker, ferry or trawler."""
    beam = length * {"cargo": 0.165, "tanker": 0.18, "ferry": 0.2, "trawler": 0.26}[style]
    return SceneObject(
        "ship", Polygon(pose.ground(hull(length, beam))), pose, length, beam, colour, 9 if length > 50 else 4, style
    )


def moored(rng: np.random.Generator) -> Iterator[SceneObject]:
    """Ships along both sides of the piers and along the quay."""
    for pier in PIERS:
        x0, _, x1, y1 = pier.bounds
        for x, y in ((x0, y1 - 72), (x1, y1 - 84), (x0, y1 - 178)):
            style = str(rng.choice(["cargo", "tanker", "ferry"]))
            length, heading = rng.uniform(74, 112), rng.choice([90, -90])
            side = -1 if x == x0 else 1
            yield ship(
                Pose(x + side * (0.1 * length + 1.5), y + rng.uniform(-8, 8), heading),
                length,
                style,
                HULLS[rng.integers(5)],
            )
    for x in np.arange(1392, 1500, 44.0):
        length = rng.uniform(30, 38)
        yield ship(
            Pose(x + rng.uniform(-3, 3), QUAY + 6.5, float(rng.choice([0, 180]))),
            length,
            "trawler",
            HULLS[rng.integers(5)],
        )
    for x in (1660.0,):
        yield ship(Pose(x, QUAY + 12, 0), rng.uniform(84, 104), "cargo", HULLS[rng.integers(5)])
    yield ship(
        Pose(1445 + rng.uniform(-12, 12), 2560, -100 + rng.uniform(-12, 12)), rng.uniform(60, 84), "ferry", HULLS[1]
    )


def at_sea(sea: BaseGeometry, rng: np.random.Generator) -> Iterator[SceneObject]:
    """A handful of ships under way or at anchor, well apart and clear of the coast and the breakwaters."""
    open_sea, taken = sea.buffer(-90), shapely.Polygon()
    x0, y0, x1, y1 = open_sea.bounds
    found = 0
    while found < 8:
        spot = Point(rng.uniform(x0, x1), rng.uniform(y0, y1))
        if not open_sea.contains(spot) or spot.within(taken):
            continue
        style = ("cargo", "tanker", "cargo", "trawler", "ferry", "cargo", "trawler", "tanker")[found]
        length = rng.uniform(30, 42) if style == "trawler" else rng.uniform(75, 120)
        yield ship(Pose(spot.x, spot.y, rng.uniform(0, 360)), length, style, HULLS[rng.integers(5)])
        taken, found = taken | spot.buffer(190), found + 1


def boats(rng: np.random.Generator) -> Iterator[SceneObject]:
    """Pleasure boats in their berths on both sides of the jetties."""
    for x in JETTIES:
        for y in np.arange(QUAY + 12, QUAY + 174, 6.2):
            for side in (-1, 1):
                if rng.random() < 0.22:
                    continue
                length = rng.uniform(10, 15)
                pose = Pose(x + side * (2.6 + length / 2), y + rng.uniform(-0.5, 0.5), 0 if side > 0 else 180)
                shade = rng.uniform(205, 245)
                colour = (shade, shade, shade) if rng.random() < 0.85 else (70, 90, 130)
                yield SceneObject("boat", Polygon(pose.ground(hull(length, 3.6))), pose, length, 3.6, colour, 1.5)


def warehouses(rng: np.random.Generator) -> Iterator[SceneObject]:
    """Long sheds on the apron behind the quay."""
    roofs: tuple[Colour, ...] = ((196, 198, 200), (150, 160, 172), (170, 122, 100), (206, 202, 190), (120, 142, 166))
    x = 1300.0
    while x < 1740:
        length = rng.uniform(50, 86)
        pose = Pose(x + length / 2, 2160)
        yield SceneObject(
            "building", Polygon(pose.ground(rectangle(length, 34))), pose, length, 34, roofs[rng.integers(5)], 9, "shed"
        )
        x += length + rng.uniform(12, 20)


def tanks(rng: np.random.Generator) -> Iterator[SceneObject]:
    """Round storage tanks in rows: by the quay, and on a farm of their own inland."""
    inland = [(x, y + 0.08 * (x - 1130)) for y in (870, 918) for x in np.arange(1160, 1480, 50.0)]
    for x, y in [*((x, y) for y in (2150, 2195) for x in (1808, 1848)), *inland]:
        radius, shade = rng.uniform(13, 19), rng.uniform(205, 240)
        pose = Pose(x + rng.uniform(-1, 1), y)
        colour = (shade, shade, shade - 6)
        yield SceneObject(
            "storage_tank", Point(pose.x, pose.y).buffer(radius, 16), pose, 2 * radius, 2 * radius, colour, 12
        )


def harbour_objects(zones: dict[str, BaseGeometry], rng: np.random.Generator) -> Iterator[SceneObject]:
    """Everything countable at and on the water."""
    yield from warehouses(rng)
    yield from tanks(rng)
    yield from moored(rng)
    yield from boats(rng)
    yield from at_sea(zones["sea"] & shapely.box(0, 0, SIDE, SIDE), rng)
