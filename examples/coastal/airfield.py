"""The airfield: terminal with piers, hangars, and airplanes at the gates, on the apron and on the taxiway."""

from collections.abc import Iterator

import numpy as np
from shapely import Polygon

from coastal.outlines import airplane, rectangle
from coastal.plan import AIRFIELD
from coastal.world import Colour, SceneObject

LIVERIES: tuple[Colour, ...] = ((176, 40, 44), (36, 66, 130), (30, 120, 110), (216, 150, 40), (70, 76, 90))


def plane(u: float, v: float, heading: float, length: float, rng: np.random.Generator) -> SceneObject:
    """An airliner at a place of the airfield's frame; its colour is that of the tail."""
    pose = AIRFIELD.inner(u, v, heading + rng.uniform(-2, 2))
    colour = LIVERIES[rng.integers(len(LIVERIES))]
    return SceneObject("airplane", airplane(pose, length), pose, length, 0.94 * length, colour, 5)


def block(u: float, v: float, length: float, width: float, colour: Colour, height: float, style: str) -> SceneObject:
    """A building of the airfield."""
    pose = AIRFIELD.inner(u, v)
    return SceneObject(
        "building", Polygon(pose.ground(rectangle(length, width))), pose, length, width, colour, height, style
    )


def buildings() -> Iterator[SceneObject]:
    """Terminal, its two piers, hangars and the tower."""
    yield block(0, 222, 420, 44, (206, 206, 204), 14, "flat")
    for u in (-140, 140):
        yield block(u, 144, 20, 108, (196, 198, 200), 9, "flat")
    for u in (430, 520, 610):
        yield block(u, 116, 72, 62, (178, 186, 194), 12, "shed")
    yield block(270, 226, 14, 14, (220, 220, 216), 30, "flat")


def airplanes(rng: np.random.Generator) -> Iterator[SceneObject]:
    """Airplanes: some gates and stands are free."""
    for u, side in ((-140, -1), (-140, 1), (140, -1), (140, 1)):
        for v in (112, 166):
            length = rng.uniform(40, 47)
            if rng.random() < 0.8:
                yield plane(u + side * (14 + length / 2), v, 180 if side > 0 else 0, length, rng)
    for u in (-30, 30):
        if rng.random() < 0.9:
            length = rng.uniform(44, 50)
            yield plane(u, 196 - length / 2, 90, length, rng)
    for u in range(-300, 301, 75):
        if rng.random() < 0.62:
            yield plane(u, 0, -90, rng.uniform(40, 58), rng)
    for u in (430, 520, 610):
        if rng.random() < 0.7:
            yield plane(u, 50, 90, rng.uniform(38, 42), rng)
    yield plane(rng.uniform(-560, -400), -63, 180, rng.uniform(46, 60), rng)


def airfield_objects(rng: np.random.Generator) -> Iterator[SceneObject]:
    """Everything countable on the airfield."""
    yield from buildings()
    yield from airplanes(rng)
