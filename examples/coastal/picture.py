"""The picture: ground, water, marks and things laid over each other, seen through a slightly soft camera."""

import numpy as np
from numpy.typing import NDArray

from coastal.canvas import Plane, blurred, noise
from coastal.marks import draw_marks
from coastal.sprites import draw_things
from coastal.terrain import paint_land
from coastal.water import paint_water
from coastal.world import COLLAR_LINE, SIDE, World

SOFTNESS = 0.48
"""Blur of the camera in pixels."""


def paint(world: World, size: int, seed: int) -> NDArray[np.uint8]:
    """The scene as red, green and blue (3, size, size): 1 to 255 where the camera saw the ground, 0 in the collar."""
    rng = np.random.default_rng([seed, 1])
    picture = paint_land(world, size, rng)
    paint_water(picture, world, rng)
    draw_marks(picture, world, rng)
    draw_things(picture, world, rng)
    picture *= 1 + np.float32(0.035) * noise(rng, size, 900, 300) + np.float32(0.03) * noise(rng, size, 6, 2)
    soft = hazy(blurred(picture, SOFTNESS))
    soft += rng.standard_normal((1, size, size), dtype=np.float32) * 2.2
    seen = np.clip(np.rint(soft), 1, 255).astype(np.uint8)
    seen[:, unseen(size)] = 0
    return seen


def hazy(picture: Plane) -> Plane:
    """Colours as they arrive through the air (3, H, W): paler, a little bluer, with dark parts lifted."""
    grey = picture.mean(axis=0)
    return np.stack([0.8 * picture[band] + 0.18 * grey + lift for band, lift in enumerate((7.0, 9.0, 13.0))])


def unseen(size: int) -> NDArray[np.bool_]:
    """Which pixels (size, size) have their middle in the collar."""
    metres = (np.arange(size) + 0.5) * SIDE / size
    return metres[None, :] + metres[:, None] > COLLAR_LINE
