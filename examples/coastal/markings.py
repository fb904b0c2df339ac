"""Thin drawings on the ground: gardens and squares, road and runway markings, pitches, jetties, wakes."""

import numpy as np
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from coastal.canvas import Layer, Plane
from coastal.outlines import rectangle
from coastal.plan import AIRFIELD, COAST_ROAD, HIGHWAY, QUAY, smooth
from coastal.town import car_rows
from coastal.world import CARGO, Pose, SceneObject, World

WHITE = (226, 226, 222)
LAWNS = ((88, 116, 58), (104, 122, 70), (78, 104, 56), (124, 122, 84), (146, 136, 108), (150, 146, 138))


def draw_markings(image: Plane, world: World, rng: np.random.Generator) -> None:
    """Draw everything flat that lies on the ground, in place, over an image (3, H, W)."""
    size = image.shape[1]
    gardens = Layer(size)
    for obj in world.objects:
        if obj.label == "house":
            garden(gardens, obj, rng)
    gardens.area(world.zones["road"].buffer(2.2) & world.zones["residential"], (156, 152, 144))
    gardens.lay_on(image, 0.85)
    lines = Layer(size)
    roads(lines)
    runway(lines)
    bays(lines)
    for pose in (Pose(1520, 1130, 90),):
        pitch(lines, pose, 108, 68)
    containers(lines, rng)
    lines.area(world.surfaces["jetty"], (176, 168, 150))
    lines.lay_on(image, 0.8)
    wakes = Layer(size)
    for obj in world.objects:
        if obj.label == "ship" and world.zones["sea"].contains(obj.shape) and rng.random() < 0.65:
            wake(wakes, obj, world.zones["sea"], rng)
    wakes.lay_on(image, 0.4)


def garden(layer: Layer, house: SceneObject, rng: np.random.Generator) -> None:
    """A lawn or yard around a house, a path, and now and then a pool."""
    shade = np.array(LAWNS[rng.integers(len(LAWNS))]) + rng.normal(0, 6, 3)
    layer.polygon(house.pose.ground(rectangle(house.length + 5, house.width + 15)), tuple(shade))
    u = rng.uniform(-0.4, 0.4) * house.length
    layer.stroke(house.pose.ground([(u, 0), (u, house.width / 2 + 8)]), 2.4, (164, 160, 150))
    if rng.random() < 0.05:
        place = house.pose.inner(rng.uniform(-4, 4), -house.width / 2 - 5)
        layer.polygon(place.ground(rectangle(7, 3.6)), (96, 176, 200))


def dashes(layer: Layer, points: np.ndarray, width: float, on: float, off: float) -> None:
    """A dashed white line."""
    line, along = shapely.LineString(points), 0.0
    while along + on < line.length:
        layer.stroke([line.interpolate(along).coords[0], line.interpolate(along + on).coords[0]], width, WHITE)
        along += on + off


def roads(layer: Layer) -> None:
    """Centre and edge lines of the long roads."""
    for line, half in ((HIGHWAY, 9.2), (COAST_ROAD, 6.6)):
        axis = smooth(line)
        dashes(layer, np.asarray(axis.coords), 0.8, 8, 9)
        for side in (-half, half):
            layer.stroke(np.asarray(axis.offset_curve(side).coords), 0.6, (196, 194, 188))


def runway(layer: Layer) -> None:
    """Markings of the runway, yellow lines of the taxiway, tyre marks, and joints of the apron's slabs."""
    f, middle = AIRFIELD, -216.0
    layer.polygon(np.asarray(f.rectangle(-560, middle - 9, -330, middle + 9).exterior.coords), (122, 120, 116))
    layer.polygon(np.asarray(f.rectangle(350, middle - 8, 560, middle + 8).exterior.coords), (124, 122, 118))
    dashes(layer, f.ground([(-590, middle), (590, middle)]), 1.4, 32, 22)
    for v in (middle - 21, middle + 21):
        layer.stroke(f.ground([(-655, v), (655, v)]), 1.2, WHITE)
    for end in (-1, 1):
        for offset in np.arange(-18, 19, 4.5):
            layer.stroke(f.ground([(end * 610, middle + offset), (end * 645, middle + offset)]), 1.8, WHITE)
        for side in (-8, 8):
            layer.stroke(f.ground([(end * 480, middle + side), (end * 525, middle + side)]), 5, WHITE)
    layer.stroke(f.ground([(-640, -63), (640, -63)]), 0.8, (206, 178, 80))
    for u in np.arange(-340, 341, 20.0):
        layer.stroke(f.ground([(u, -50), (u, 190)]), 0.4, (148, 146, 140))
    for v in np.arange(-40, 190, 20.0):
        layer.stroke(f.ground([(-350, v), (350, v)]), 0.4, (148, 146, 140))


def bays(layer: Layer) -> None:
    """The lines between the bays of the car parks."""
    for start, length, facing in car_rows():
        for u in np.arange(0.55, length, 2.9):
            layer.stroke(start.inner(u, 0, facing).ground([(-2.5, 0), (2.5, 0)]), 0.3, (176, 176, 174))


def pitch(layer: Layer, pose: Pose, length: float, width: float) -> None:
    """A football pitch: mown stripes and white lines."""
    for index, u in enumerate(np.linspace(-length / 2, length / 2, 13)[:-1]):
        green = (74, 122, 58) if index % 2 else (88, 136, 68)
        stripe = pose.rectangle(u, -width / 2, u + length / 12 + 0.3, width / 2)
        layer.polygon(np.asarray(stripe.exterior.coords), green)
    outline = rectangle(length - 5, width - 5)
    layer.stroke(pose.ground([*outline, outline[0]]), 0.6, WHITE)
    layer.stroke(pose.ground([(0, -width / 2 + 2.5), (0, width / 2 - 2.5)]), 0.6, WHITE)
    circle = Polygon(shapely.Point(pose.x, pose.y).buffer(9).exterior)
    layer.stroke(np.asarray(circle.exterior.coords), 0.6, WHITE)
    for end in (-1, 1):
        box = [
            (end * (length / 2 - 2.5), -20),
            (end * (length / 2 - 19), -20),
            (end * (length / 2 - 19), 20),
            (end * (length / 2 - 2.5), 20),
        ]
        layer.stroke(pose.ground(box), 0.6, WHITE)


def containers(layer: Layer, rng: np.random.Generator) -> None:
    """Stacks of containers and stains on the quay and its piers, and the rails of the cranes."""
    yards = [(1330, 2192, 1500, 2222), (1600, 2192, 1760, 2222), (1330, 2250, 1352, 2425), (1541, 2250, 1571, 2455)]
    for x0, y0, x1, y1 in yards:
        for x in np.arange(x0, x1 - 12, 13.5):
            for y in np.arange(y0, y1 - 2.5, 2.7):
                # Stacks stand in groups, with lanes between them for the trucks.
                if np.sin(x / 17) + np.sin(y / 4.6) > 0.1 and rng.random() < 0.85:
                    layer.polygon(Pose(x + 6, y + 1.3).ground(rectangle(12.2, 2.5)), CARGO[rng.integers(len(CARGO))])
    for y in (QUAY - 3, QUAY - 14):
        layer.stroke([(1290, y), (1776, y)], 0.6, (96, 90, 84))


def wake(layer: Layer, ship: SceneObject, sea: BaseGeometry, rng: np.random.Generator) -> None:
    """The churned water behind a moving ship and the two waves from its bow, both fading with distance."""
    reach = 2 * ship.length
    churn = ship.length / 2 + rng.exponential(reach / 3, int(4 * reach))
    bow = rng.exponential(reach / 3, int(2 * reach))
    aside = rng.choice([-1, 1], len(bow)) * (0.5 * ship.width + 0.2 * bow + rng.normal(0, 0.8, len(bow)))
    trail = np.column_stack([-churn, rng.normal(0, 0.3 * ship.width + 0.02 * churn)])
    foam = ship.pose.ground(np.vstack([trail, np.column_stack([0.42 * ship.length - bow, aside])]))
    for x, y in foam[shapely.contains_xy(sea, foam[:, 0], foam[:, 1])]:
        layer.disc(x, y, rng.uniform(0.6, 1.5), (208, 222, 222))
