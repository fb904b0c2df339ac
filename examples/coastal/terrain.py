"""The bare ground: one texture per kind of land use, and the fields with their rows."""

import numpy as np
import shapely
from PIL import Image, ImageDraw

from coastal.canvas import Plane, blurred, mix, noise, stencil, textured
from coastal.world import SIDE, Colour, Field, World


def paint_land(world: World, size: int, rng: np.random.Generator) -> Plane:
    """The dry ground as a picture (3, size, size): meadows everywhere, the other land uses over them."""
    broad, middle, fine = noise(rng, size, 700, 260, 90), noise(rng, size, 45, 18), noise(rng, size, 7, 3, 1.5)
    picture = textured((108, 114, 78), (broad, (11, 6, 7)), (middle, (6, 5, 4)), (fine, 7))
    looks: dict[str, tuple[Colour, *tuple[tuple[Plane, Colour | float], ...]]] = {
        "farmland": ((134, 126, 98), (middle, 5), (fine, 4)),
        "residential": ((112, 112, 86), (middle, (9, 6, 9)), (fine, 8)),
        "sparse_residential": ((98, 108, 68), (broad, (9, 5, 7)), (middle, (8, 6, 5)), (fine, 6)),
        "forest": ((34, 50, 30), (fine, 5)),
        "airfield": ((116, 122, 82), (broad, (10, 7, 7)), (middle, (5, 4, 4)), (fine, 4)),
        "sports": ((104, 116, 80), (middle, 5), (fine, 5)),
        "industrial": ((158, 154, 146), (middle, 6), (fine, 6)),
    }
    for kind, look in looks.items():
        mix(picture, textured(*look), blurred(stencil(world.zones[kind], size), 1.2))
    for plot in world.fields:
        plough(picture, plot, middle + 0.6 * fine)
    paving: dict[str, Colour] = {
        "parking": (94, 93, 92),
        "road": (108, 107, 104),
        "quay": (162, 157, 146),
        "runway": (152, 150, 146),
        "taxiway": (140, 139, 136),
        "apron": (172, 169, 160),
    }
    for kind, colour in paving.items():
        shape = world.zones.get(kind, world.surfaces.get(kind))
        mix(picture, textured(colour, (middle, 4), (fine, 4)), stencil(shape, size))
    return picture


def plough(picture: Plane, plot: Field, grain: Plane) -> None:
    """Paint one field with its rows into the picture, in place; `grain` (H, W) makes it patchy."""
    size = picture.shape[1]
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
    mix(picture[:, y0:y1, x0:x1], textured(plot.colour, (shade, (1, 0.95, 0.8))), share)
