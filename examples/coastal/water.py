"""Sea, surf, beach, harbour basin, river and breakwaters."""

import numpy as np
from shapely import LineString

from coastal.canvas import Layer, Plane, blurred, mix, noise, stencil, textured
from coastal.plan import BREAKWATERS, smooth
from coastal.world import SIDE, World


def paint_water(picture: Plane, world: World, rng: np.random.Generator) -> None:
    """Paint all water and what it washes, in place, over a picture of the land (3, H, W)."""
    size = picture.shape[1]
    metres = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(SIDE / size)
    depth = metres[:, None] - np.interp(metres, world.coast[:, 0], world.coast[:, 1]).astype(np.float32)[None, :]
    broad, patchy, fine = (
        noise(rng, size, 500, 180, stretch=1.6),
        noise(rng, size, 60, 25, stretch=2.5),
        noise(rng, size, 4, 1.5),
    )
    beach(picture, depth, patchy, fine, stencil(world.zones["beach"], size))
    ripple = noise(rng, size, 13, 7, 4, stretch=2.2)
    water = textured((38, 76, 92), (broad, (2.5, 4, 4)), (patchy, (1, 2, 2)), (ripple, (3.4, 4.2, 4.2)), (fine, 1.6))
    shallow = np.exp(-np.clip(depth + 14 * patchy, 0, None) / 75)
    sand = textured((118, 158, 148), (patchy, 5), (ripple, 3))
    sea = water + (sand - water) * shallow
    surf(sea, depth, patchy, fine)
    mix(picture, sea, blurred(stencil(world.zones["sea"], size), 0.7))
    basin = textured((44, 80, 86), (broad, (2.5, 4, 4)), (patchy, 1.2), (ripple * 0.6, 3), (fine, 1.4))
    built = np.maximum(stencil(world.surfaces["quay"], size), stencil(world.surfaces["breakwater"], size))
    # The basin's calmer water passes into the sea's in the entrance, without a seam.
    harbour = stencil(world.zones["harbour"], size)
    open_water = np.clip(harbour + stencil(world.zones["sea"], size), 0, 1) * (1 - built)
    mix(picture, water, harbour * (1 - built))
    mix(picture, basin, blurred(harbour, 18) * open_water)
    bank = blurred(stencil(world.zones["river"], size), 2.5)
    mix(picture, (92, 88, 62), np.clip(bank * 1.6, 0, 1) * (1 - stencil(world.zones["road"], size)))
    mix(picture, textured((72, 92, 82), (broad, 4), (ripple, 2.2), (fine, 1.6)), stencil(world.zones["river"], size))
    breakwaters(picture, rng)


def beach(picture: Plane, depth: Plane, patchy: Plane, fine: Plane, share: Plane) -> None:
    """Sand: dark where it is wet, pale above, with grass creeping in from the land."""
    sand = textured((204, 188, 152), (patchy, (4, 4, 4)), (fine, 4))
    wet = np.clip(1 + (depth + 4 * patchy) / 14, 0, 1)
    mix(sand, (150, 138, 112), 0.85 * wet)
    grass = np.clip((-depth - 58 + 7 * patchy + 5 * fine) / 9, 0, 1)
    mix(picture, sand, blurred(share, 1.2) * (1 - 0.85 * grass))


def surf(sea: Plane, depth: Plane, patchy: Plane, fine: Plane) -> None:
    """Foam: a seam along the sand, and broken lines of breakers before it, except in front of the harbour."""
    size = sea.shape[1]
    metres = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(SIDE / size)
    open_coast = np.clip(np.maximum(960 - metres, metres - 1850) / 60, 0, 1)[None, :]
    seam = np.exp(-(((depth - 3 + 3 * patchy) / 4.5) ** 2))
    crest = np.sin((depth + 9 * patchy) * (2 * np.pi / 34) + 1.2)
    lines = np.clip((crest - 0.72 + 0.22 * patchy + 0.16 * fine) * 3.2, 0, 1) * np.exp(
        -np.clip(depth - 18, 0, None) / 48
    )
    foam = np.clip(0.85 * seam + 0.8 * lines, 0, 0.92) * (depth > -8) * open_coast
    mix(sea, (232, 238, 236), foam.astype(np.float32))


def breakwaters(picture: Plane, rng: np.random.Generator) -> None:
    """Dams of dumped stone with a paved crown."""
    stones = Layer(picture.shape[1])
    for line in BREAKWATERS:
        axis = smooth(line)
        stones.polygon(np.asarray(axis.buffer(10.6).exterior.coords), (104, 100, 92))
        for along in np.arange(0, axis.length, 1.1):
            x, y = axis.interpolate(along).coords[0]
            dx, dy = rng.normal(0, 6.2, 2).clip(-9.4, 9.4)
            grey = rng.uniform(84, 176)
            stones.disc(x + dx, y + dy, rng.uniform(1, 2.2), (grey, grey - 4, grey - 14))
        crown = LineString(np.asarray(axis.coords)).buffer(3.2, cap_style="flat")
        stones.polygon(np.asarray(crown.exterior.coords), (178, 174, 162))
    stones.lay_on(picture)
