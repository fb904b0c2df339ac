"""The ground: a texture for each zone, fields with their rows, sea and surf, beach, basin, river and breakwaters."""

import numpy as np
import shapely
from PIL import Image, ImageDraw
from shapely import LineString

from coastal.canvas import Layer, Plane, blurred, mix, noise, stencil, textured
from coastal.plan import BREAKWATERS, smooth
from coastal.world import SIDE, Colour, Field, World


def paint_land(world: World, size: int, rng: np.random.Generator) -> Plane:
    """The dry ground as an image (3, size, size): meadow everywhere, other zones over it."""
    broad, middle, fine = noise(rng, size, 700, 260, 90), noise(rng, size, 45, 18), noise(rng, size, 7, 3, 1.5)
    image = textured((108, 114, 78), (broad, (11, 6, 7)), (middle, (6, 5, 4)), (fine, 7))
    textures: dict[str, tuple[Colour, *tuple[tuple[Plane, Colour | float], ...]]] = {
        "farmland": ((134, 126, 98), (middle, 5), (fine, 4)),
        "residential": ((112, 112, 86), (middle, (9, 6, 9)), (fine, 8)),
        "sparse_residential": ((98, 108, 68), (broad, (9, 5, 7)), (middle, (8, 6, 5)), (fine, 6)),
        "forest": ((34, 50, 30), (fine, 5)),
        "airfield": ((116, 122, 82), (broad, (10, 7, 7)), (middle, (5, 4, 4)), (fine, 4)),
        "sports": ((104, 116, 80), (middle, 5), (fine, 5)),
        "industrial": ((158, 154, 146), (middle, 6), (fine, 6)),
    }
    for zone, texture in textures.items():
        mix(image, textured(*texture), blurred(stencil(world.zones[zone], size), 1.2))
    for plot in world.fields:
        plough(image, plot, middle + 0.6 * fine)
    paving: dict[str, Colour] = {
        "parking": (94, 93, 92),
        "road": (108, 107, 104),
        "quay": (162, 157, 146),
        "runway": (152, 150, 146),
        "taxiway": (140, 139, 136),
        "apron": (172, 169, 160),
    }
    for surface, colour in paving.items():
        shape = world.zones.get(surface, world.surfaces.get(surface))
        mix(image, textured(colour, (middle, 4), (fine, 4)), stencil(shape, size))
    return image


def plough(image: Plane, plot: Field, grain: Plane) -> None:
    """Paint one field with its rows into the image, in place; `grain` (H, W) makes it patchy."""
    size = image.shape[1]
    pixel = SIDE / size
    x0, y0 = (max(0, int(value / pixel) - 1) for value in plot.shape.bounds[:2])
    x1, y1 = (min(size, int(value / pixel) + 2) for value in plot.shape.bounds[2:])
    fine = Image.new("L", (2 * (x1 - x0), 2 * (y1 - y0)))
    ring = (shapely.get_coordinates(plot.shape.exterior) / pixel - (x0, y0)) * 2 - 0.5
    ImageDraw.Draw(fine).polygon(ring.ravel().tolist(), fill=255)
    share = np.asarray(fine.reduce(2), dtype=np.float32) / 255
    x, y = (np.arange(x0, x1) + 0.5) * pixel, (np.arange(y0, y1) + 0.5) * pixel
    turn = np.radians(plot.angle)
    across = -x[None, :] * np.sin(turn) + y[:, None] * np.cos(turn)
    # Rows thinner than two pixels would beat against the pixel grid.
    spacing = max(plot.spacing, 2.6 * pixel)
    rows = np.sin(across * 2 * np.pi / spacing + 0.5 * grain[y0:y1, x0:x1]) + 0.8 * np.sin(
        across * 2 * np.pi / (spacing * 6.3)
    )
    shade = plot.contrast * rows.astype(np.float32) + 5.5 * grain[y0:y1, x0:x1]
    mix(image[:, y0:y1, x0:x1], textured(plot.colour, (shade, (1, 0.95, 0.8))), share)


def paint_water(image: Plane, world: World, rng: np.random.Generator) -> None:
    """Paint all water and what it washes, in place, over an image of the land (3, H, W)."""
    size = image.shape[1]
    metres = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(SIDE / size)
    depth = metres[:, None] - np.interp(metres, world.coast[:, 0], world.coast[:, 1]).astype(np.float32)[None, :]
    broad, patchy, fine = (
        noise(rng, size, 500, 180, stretch=1.6),
        noise(rng, size, 60, 25, stretch=2.5),
        noise(rng, size, 4, 1.5),
    )
    beach(image, depth, patchy, fine, stencil(world.zones["beach"], size))
    ripple = noise(rng, size, 13, 7, 4, stretch=2.2)
    water = textured((38, 76, 92), (broad, (2.5, 4, 4)), (patchy, (1, 2, 2)), (ripple, (3.4, 4.2, 4.2)), (fine, 1.6))
    shallow = np.exp(-np.clip(depth + 14 * patchy, 0, None) / 75)
    sand = textured((118, 158, 148), (patchy, 5), (ripple, 3))
    sea = water + (sand - water) * shallow
    surf(sea, depth, patchy, fine)
    mix(image, sea, blurred(stencil(world.zones["sea"], size), 0.7))
    basin = textured((44, 80, 86), (broad, (2.5, 4, 4)), (patchy, 1.2), (ripple * 0.6, 3), (fine, 1.4))
    built = np.maximum(stencil(world.surfaces["quay"], size), stencil(world.surfaces["breakwater"], size))
    # The basin's calmer water passes into the sea's in the entrance, without a seam.
    harbour = stencil(world.zones["harbour"], size)
    open_water = np.clip(harbour + stencil(world.zones["sea"], size), 0, 1) * (1 - built)
    mix(image, water, harbour * (1 - built))
    mix(image, basin, blurred(harbour, 18) * open_water)
    bank = blurred(stencil(world.zones["river"], size), 2.5)
    mix(image, (92, 88, 62), np.clip(bank * 1.6, 0, 1) * (1 - stencil(world.zones["road"], size)))
    mix(image, textured((72, 92, 82), (broad, 4), (ripple, 2.2), (fine, 1.6)), stencil(world.zones["river"], size))
    breakwaters(image, rng)


def beach(image: Plane, depth: Plane, patchy: Plane, fine: Plane, share: Plane) -> None:
    """Sand: dark where it is wet, pale above, with grass creeping in from the land."""
    sand = textured((204, 188, 152), (patchy, (4, 4, 4)), (fine, 4))
    wet = np.clip(1 + (depth + 4 * patchy) / 14, 0, 1)
    mix(sand, (150, 138, 112), 0.85 * wet)
    grass = np.clip((-depth - 58 + 7 * patchy + 5 * fine) / 9, 0, 1)
    mix(image, sand, blurred(share, 1.2) * (1 - 0.85 * grass))


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


def breakwaters(image: Plane, rng: np.random.Generator) -> None:
    """Dams of dumped stone with a paved crown."""
    stones = Layer(image.shape[1])
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
    stones.lay_on(image)
