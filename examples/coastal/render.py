"""Seed → world → image: `build` lays the scene out as geometry, `paint` draws it through a slightly soft camera."""

import numpy as np
from numpy.typing import NDArray

from coastal.airfield import airfield_objects
from coastal.canvas import Plane, blurred, noise
from coastal.country import fields_of, trees_of
from coastal.ground import paint_land, paint_water
from coastal.harbour import harbour_objects
from coastal.markings import draw_markings
from coastal.plan import (
    airfield_surfaces,
    coast_line,
    forest_shape,
    harbour_surfaces,
    quarters_of,
    river_line,
    streets,
    town_grid,
    zones_of,
)
from coastal.sprites import draw_objects
from coastal.town import bridges, town_objects
from coastal.world import COLLAR_LINE, SIDE, World, without_conflicts

SOFTNESS = 0.48
"""Blur of the camera in pixels."""


def build(seed: int) -> World:
    """The whole scene as geometry; the same for a seed whatever its size in pixels will be."""
    rng = np.random.default_rng([seed, 0])
    coast, river = coast_line(rng), river_line(rng).buffer(29)
    quarters, (us, vs) = quarters_of(river), town_grid(rng)
    surfaces = harbour_surfaces() | airfield_surfaces()
    built = surfaces["quay"] | surfaces["breakwater"]
    zones = zones_of(coast, river, streets(us, vs, quarters), quarters, built, forest_shape(rng))
    candidates = [*harbour_objects(zones, rng), *airfield_objects(rng), *town_objects(zones, us, vs, rng)]
    objects = without_conflicts(candidates, zones) + bridges(zones["road"], river)
    trees = trees_of(zones, objects, rng)
    return World(zones, surfaces, coast, objects, fields_of(zones["farmland"], rng), trees)


def paint(world: World, size: int, seed: int) -> NDArray[np.uint8]:
    """The scene as red, green and blue (3, size, size): 1 to 255 where the camera saw the ground, 0 in the collar."""
    rng = np.random.default_rng([seed, 1])
    image = paint_land(world, size, rng)
    paint_water(image, world, rng)
    draw_markings(image, world, rng)
    draw_objects(image, world, rng)
    image *= 1 + np.float32(0.035) * noise(rng, size, 900, 300) + np.float32(0.03) * noise(rng, size, 6, 2)
    soft = hazy(blurred(image, SOFTNESS))
    soft += rng.standard_normal((1, size, size), dtype=np.float32) * 2.2
    seen = np.clip(np.rint(soft), 1, 255).astype(np.uint8)
    seen[:, unseen(size)] = 0
    return seen


def hazy(image: Plane) -> Plane:
    """Colours as they arrive through the air (3, H, W): paler, a little bluer, with dark parts lifted."""
    grey = image.mean(axis=0)
    return np.stack([0.8 * image[band] + 0.18 * grey + lift for band, lift in enumerate((7.0, 9.0, 13.0))])


def unseen(size: int) -> NDArray[np.bool_]:
    """Which pixels (size, size) have their middle in the collar."""
    metres = (np.arange(size) + 0.5) * SIDE / size
    return metres[None, :] + metres[:, None] > COLLAR_LINE
