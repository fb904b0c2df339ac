"""The objects themselves, seen from above: shadows, roofs, ships, airplanes, tanks, cars, trees."""

from collections.abc import Callable

import numpy as np
import shapely
from numpy.typing import NDArray

from coastal.canvas import Layer, Plane, mix
from coastal.markings import pitch
from coastal.outlines import fuselage, hull, rectangle, tailplane, wings
from coastal.world import CARGO, Colour, Points, Pose, SceneObject, World

SUN = np.array([0.6, 0.8])
"""Direction to the sun on the ground: south-east."""

SHADOW = -0.85 * SUN
"""Where the shadow of a point one metre high falls."""

SHADE = np.array([0.47, 0.51, 0.58], np.float32)
"""What is left of red, green and blue light in a shadow, under a blue sky."""


def draw_objects(image: Plane, world: World, rng: np.random.Generator) -> None:
    """Draw shadows, then objects, then tree crowns, in place, over an image (3, H, W)."""
    size = image.shape[1]
    shade = Layer(size)
    for obj in world.objects:
        cast(shade, obj)
    for x, y, radius in world.trees.tolist():
        shade.disc(x + SHADOW[0] * radius * 0.9, y + SHADOW[1] * radius * 0.9, radius, (0, 0, 0))
    mix(image, image * SHADE[:, None, None], shade.share())
    layer = Layer(size)
    for obj in world.objects:
        DRAW[obj.label](layer, obj, rng)
    crowns(layer, world.trees, rng)
    layer.lay_on(image)


def tint(colour: Points | Colour, factor: float) -> Colour:
    """A colour made lighter or darker."""
    red, green, blue = np.asarray(colour) * factor
    return float(red), float(green), float(blue)


def cast(layer: Layer, obj: SceneObject) -> None:
    """The shadow of an object. Airplanes and bridges are off the ground, so theirs is shifted, without a part below."""
    dx, dy = SHADOW * obj.height
    moved = shapely.transform(obj.shape, lambda points: points + np.array([dx, dy]))
    aloft = obj.label in ("airplane", "bridge")
    layer.area(moved - obj.shape if aloft else shapely.union(obj.shape, moved).convex_hull, (0, 0, 0))


def facet(layer: Layer, pose: Pose, points: Points, downhill: tuple[float, float], colour: Colour) -> None:
    """One slope of a roof, lit by how far it faces the sun."""
    slope = pose.ground([downhill])[0] - (pose.x, pose.y)
    layer.polygon(pose.ground(points), tint(colour, 1 + 0.24 * float(slope @ SUN)))


def roofed(layer: Layer, obj: SceneObject, rng: np.random.Generator) -> None:
    """A house or another building, by the style of its roof."""
    u, v, pose, colour = obj.length / 2, obj.width / 2, obj.pose, obj.colour
    if obj.style in ("flat", "shed"):
        flat_roof(layer, obj, rng)
        return
    ridge = u - (0.9 * min(u, v) if obj.style == "hip" else 0)
    facet(layer, pose, [(-u, -v), (u, -v), (ridge, 0), (-ridge, 0)], (0, -1), colour)
    facet(layer, pose, [(-u, v), (u, v), (ridge, 0), (-ridge, 0)], (0, 1), colour)
    if obj.style == "hip":
        facet(layer, pose, [(-u, -v), (-u, v), (-ridge, 0)], (-1, 0), colour)
        facet(layer, pose, [(u, -v), (u, v), (ridge, 0)], (1, 0), colour)
    layer.stroke(pose.ground([(-ridge, 0), (ridge, 0)]), 0.5, tint(colour, 1.16))
    if rng.random() < 0.5:
        layer.polygon(
            pose.inner(rng.uniform(-0.6, 0.6) * u, rng.uniform(0.2, 0.5) * v).ground(rectangle(1.6, 1.6)),
            (186, 176, 164),
        )


def flat_roof(layer: Layer, obj: SceneObject, rng: np.random.Generator) -> None:
    """A flat roof with a parapet and machines, or a shed's with ribs along it."""
    layer.polygon(obj.pose.ground(rectangle(obj.length, obj.width)), tint(obj.colour, 1.12))
    layer.polygon(obj.pose.ground(rectangle(obj.length - 1.6, obj.width - 1.6)), tint(obj.colour, 0.94))
    u, v = obj.length / 2 - 3, obj.width / 2 - 2.5
    if obj.style == "shed":
        for along in np.arange(-u, u, 6.0):
            layer.stroke(obj.pose.ground([(along, -v), (along, v)]), 0.7, tint(obj.colour, rng.uniform(0.82, 1.02)))
        layer.stroke(obj.pose.ground([(-u, 0), (u, 0)]), 1.4, tint(obj.colour, 1.2))
        return
    for _ in range(int(obj.length * obj.width / 90)):
        place = obj.pose.inner(rng.uniform(-u, u) * 0.9, rng.uniform(-v, v) * 0.85)
        grey = rng.uniform(120, 236)
        layer.polygon(place.inner(-0.9, -0.9).ground(rectangle(2.4, 2.4)), (70, 70, 72))
        layer.polygon(place.ground(rectangle(rng.uniform(1.6, 4), 2)), (grey, grey, grey))


def ship(layer: Layer, obj: SceneObject, rng: np.random.Generator) -> None:
    """A ship: rim and deck, then what it carries, then the bridge at the stern."""
    length, beam, pose = obj.length, obj.width, obj.pose
    deck: Colour = {
        "cargo": (120, 98, 88),
        "tanker": (146, 76, 60),
        "ferry": (226, 226, 222),
        "trawler": (150, 140, 124),
    }[obj.style]
    layer.polygon(pose.ground(hull(length, beam)), obj.colour if obj.style != "ferry" else (240, 240, 238))
    layer.polygon(pose.ground(hull(length - 3, beam - 2.4)), deck)
    if obj.style == "cargo":
        stacks(layer, obj, rng)
    elif obj.style == "tanker":
        layer.stroke(pose.ground([(-0.22 * length, 0), (0.4 * length, 0)]), 1.6, (196, 180, 168))
        for u in np.linspace(-0.16, 0.34, 6) * length:
            layer.stroke(pose.ground([(u, -0.4 * beam), (u, 0.4 * beam)]), 0.8, (112, 58, 48))
    elif obj.style == "ferry":
        layer.polygon(pose.ground(rectangle(0.62 * length, 0.66 * beam)), (206, 210, 212))
        layer.polygon(pose.inner(0.1 * length, 0).ground(rectangle(0.2 * length, 0.5 * beam)), (244, 244, 244))
        layer.polygon(pose.inner(-0.2 * length, 0).ground(rectangle(0.07 * length, 0.28 * beam)), (52, 74, 120))
        return
    bridge = pose.inner(-0.36 * length, 0)
    layer.polygon(bridge.inner(SHADOW[0], SHADOW[1]).ground(rectangle(0.13 * length, 0.9 * beam)), (52, 48, 46))
    layer.polygon(bridge.ground(rectangle(0.12 * length, 0.86 * beam)), (236, 236, 232))
    layer.polygon(bridge.inner(-0.03 * length, 0).ground(rectangle(0.04 * length, 0.3 * beam)), (88, 84, 84))


def stacks(layer: Layer, obj: SceneObject, rng: np.random.Generator) -> None:
    """Bays of containers across a cargo ship's deck."""
    across = 0.78 * obj.width / 5
    for u in np.arange(-0.25, 0.3, 0.095) * obj.length:
        for row in range(5):
            place = obj.pose.inner(float(u), (row - 2) * across)
            layer.polygon(place.ground(rectangle(0.082 * obj.length, across)), CARGO[rng.integers(len(CARGO))])


def boat(layer: Layer, obj: SceneObject, rng: np.random.Generator) -> None:
    """A pleasure boat: hull, cockpit, cabin."""
    layer.polygon(obj.pose.ground(hull(obj.length, obj.width)), obj.colour)
    layer.polygon(obj.pose.inner(-0.22 * obj.length, 0).ground(rectangle(0.3 * obj.length, 2)), (128, 120, 108))
    if rng.random() < 0.4:
        layer.polygon(obj.pose.inner(0.05 * obj.length, 0).ground(rectangle(0.25 * obj.length, 2.2)), (70, 92, 132))


def airplane(layer: Layer, obj: SceneObject, rng: np.random.Generator) -> None:
    """An airliner: wings with engines, body, fin in the colour of its line."""
    length, pose = obj.length, obj.pose
    for part in (wings, tailplane):
        layer.polygon(pose.ground(part(length)), (204, 208, 212))
    layer.stroke(pose.ground([(-0.12 * length, 0.44 * length), (-0.05 * length, 0.1 * length)]), 0.6, (160, 164, 170))
    layer.stroke(pose.ground([(-0.12 * length, -0.44 * length), (-0.05 * length, -0.1 * length)]), 0.6, (160, 164, 170))
    for side in (-1, 1):
        layer.polygon(
            pose.inner(0.06 * length, side * 0.16 * length).ground(rectangle(0.085 * length, 0.038 * length)),
            (120, 124, 130),
        )
    layer.polygon(pose.ground(fuselage(length)), (242, 243, 244))
    layer.stroke(pose.ground([(0.46 * length, 0), (-0.3 * length, 0)]), 0.028 * length, (255, 255, 255))
    layer.stroke(pose.ground([(-0.34 * length, 0), (-0.49 * length, 0)]), 0.024 * length, obj.colour)


def storage_tank(layer: Layer, obj: SceneObject, rng: np.random.Generator) -> None:
    """A round tank: bright rim, slightly darker lid, stairs."""
    pose, radius = obj.pose, obj.length / 2
    layer.disc(pose.x, pose.y, radius, tint(obj.colour, 1.04))
    layer.disc(pose.x - 0.4, pose.y - 0.4, radius - 1.2, tint(obj.colour, 0.9))
    layer.disc(pose.x + 0.6, pose.y + 0.8, radius - 2.2, tint(obj.colour, 0.97))
    layer.stroke([(pose.x, pose.y), (pose.x + 0.5 * radius, pose.y - 0.7 * radius)], 0.9, (150, 150, 146))


def car(layer: Layer, obj: SceneObject, rng: np.random.Generator) -> None:
    """A car with its glass."""
    layer.polygon(obj.pose.ground(rectangle(obj.length, obj.width)), obj.colour)
    layer.polygon(obj.pose.inner(-0.2, 0).ground(rectangle(0.5 * obj.length, 1.5)), tint(obj.colour, 0.72))


def bridge(layer: Layer, obj: SceneObject, rng: np.random.Generator) -> None:
    """Parapets on both sides of the deck; the carriageway between them is road like any other."""
    for side in (-0.47, 0.47):
        ends = [(-0.5 * obj.length, side * obj.width), (0.5 * obj.length, side * obj.width)]
        layer.stroke(obj.pose.ground(ends), 1.6, (206, 204, 198))


def stadium(layer: Layer, obj: SceneObject, rng: np.random.Generator) -> None:
    """Stands in tiers, a running track, a pitch."""
    core = shapely.Polygon(obj.pose.ground(rectangle(84, 24)))
    for radius in np.arange(66, 36, -1.5):
        shade = 198 if radius > 52 else rng.uniform(138, 176)
        layer.area(core.buffer(radius), (shade, shade + 2, shade + 6))
    for angle in np.arange(0, 360, 7.5):
        spoke = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        ray = shapely.LineString([(obj.pose.x, obj.pose.y), (obj.pose.x, obj.pose.y) + spoke * 150])
        layer.stroke(np.asarray((ray & (core.buffer(66) - core.buffer(52))).coords), 0.7, (160, 162, 168))
    layer.area(core.buffer(37), (166, 88, 66))
    layer.area(core.buffer(28), (92, 132, 70))
    pitch(layer, obj.pose, 104, 62)


def crowns(layer: Layer, trees: NDArray[np.float64], rng: np.random.Generator) -> None:
    """Tree crowns (n, 3): dark discs with lighter clumps towards the sun; neighbours are of similar species."""
    species = np.sin(trees[:, 0] / 71 + 2 * np.sin(trees[:, 1] / 97)) * np.sin(
        trees[:, 1] / 53 + 1.5 * np.sin(trees[:, 0] / 83)
    )
    base = np.array([60, 80, 46]) * (1 + 0.14 * species + rng.normal(0, 0.1, len(trees)))[:, None] + rng.normal(
        0, 3.5, (len(trees), 3)
    )
    radii = trees[:, None, 2]
    # One row per disc, in the order of painting: each crown's dark disc, then its three clumps.
    places = np.repeat(trees[:, None, :2], 4, axis=1)
    places[:, 1:] += (0.25 * SUN + rng.uniform(-0.45, 0.45, (len(trees), 3, 2))) * radii[..., None]
    sizes = np.hstack([radii, radii * rng.uniform(0.28, 0.52, (len(trees), 3))])
    lights = np.hstack([np.full_like(radii, 0.82), rng.uniform(0.92, 1.22, (len(trees), 3))])
    colours = base[:, None] * lights[..., None]
    discs = zip(places.reshape(-1, 2).tolist(), sizes.ravel().tolist(), colours.reshape(-1, 3).tolist(), strict=True)
    for (x, y), radius, (red, green, blue) in discs:
        layer.disc(x, y, radius, (red, green, blue))


DRAW: dict[str, Callable[[Layer, SceneObject, np.random.Generator], None]] = {
    "airplane": airplane,
    "boat": boat,
    "bridge": bridge,
    "building": roofed,
    "car": car,
    "house": roofed,
    "ship": ship,
    "stadium": stadium,
    "storage_tank": storage_tank,
}
