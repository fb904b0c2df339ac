"""The country: the fields of the farmland, and trees of forest, gardens and meadows."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from coastal.world import SIDE, Colour, Field, Pose, SceneObject

CROPS: tuple[Colour, ...] = (
    (96, 128, 66),
    (66, 96, 54),
    (112, 138, 74),
    (172, 158, 112),
    (128, 104, 80),
    (150, 136, 106),
    (116, 98, 88),
    (138, 142, 84),
    (84, 110, 62),
)


def fields_of(farmland: BaseGeometry, rng: np.random.Generator) -> list[Field]:
    """Long rectangular fields in bands, cut to the farmland, with a track or hedge left between them."""
    tilled = farmland.buffer(-4)
    frame, fields, v = Pose(SIDE / 2, 560, -9), [], -1500.0
    while v < 1500:
        depth = rng.uniform(120, 230)
        u = -2400.0
        while u < 2400:
            width = rng.choice([45, 60, 90, 130]) * rng.uniform(0.8, 1.2)
            plot = frame.rectangle(u + 1.6, v + 2.6, u + width - 1.6, v + depth - 2.6) & tilled
            across = width > 80 and rng.random() < 0.4
            tint = np.array(CROPS[rng.integers(len(CROPS))]) + rng.normal(0, 5, 3)
            look = (frame.angle + (0 if across else 90), rng.uniform(4.5, 10), rng.uniform(3, 11))
            fields += [Field(p, *look, tuple(tint)) for p in shapely.get_parts(plot) if p.area > 900]
            u += width
        v += depth
    return fields


def scatter(area: BaseGeometry, spacing: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Points (n, 2) of an area, about `spacing` metres apart: a jittered grid."""
    x0, y0, x1, y1 = area.bounds
    grid = np.stack(np.meshgrid(np.arange(x0, x1, spacing), np.arange(y0, y1, spacing)), axis=-1).reshape(-1, 2)
    points = grid + rng.uniform(-0.45, 0.45, grid.shape) * spacing
    shapely.prepare(area)
    return points[shapely.contains_xy(area, points[:, 0], points[:, 1])]


def crowns(
    area: BaseGeometry, spacing: float, radii: tuple[float, float], keep: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Tree crowns (n, 3) in an area, of which a share of `keep` stands."""
    points = scatter(area, spacing, rng)
    points = points[rng.random(len(points)) < keep]
    return np.column_stack([points, rng.uniform(*radii, len(points))])


def trees_of(
    zones: dict[str, BaseGeometry], objects: list[SceneObject], rng: np.random.Generator
) -> NDArray[np.float64]:
    """All crowns (n, 3), none of them over an object."""
    gardens = zones["residential"].buffer(-2)
    rural = zones["sparse_residential"].buffer(-6)
    spots = np.vstack([rng.choice(scatter(zones["meadow"], 30, rng), 110), rng.choice(scatter(rural, 30, rng), 50)])
    groves = shapely.union_all(shapely.buffer(shapely.points(spots), rng.gamma(3, 7, len(spots))))
    groups = [
        crowns(zones["forest"].buffer(-2), 6.4, (3.0, 5.6), 0.97, rng),
        crowns(gardens, 8.5, (1.7, 3.4), 0.42, rng),
        crowns(rural, 11, (2.2, 4.6), 0.42, rng),
        crowns(zones["meadow"].buffer(-6), 19, (1.6, 3.8), 0.2, rng),
        crowns(zones["river"].buffer(13) & zones["meadow"].buffer(-2), 7, (2.2, 4.4), 0.6, rng),
        crowns(zones["sports"].buffer(-1) - zones["sports"].buffer(-9), 9, (2, 3.6), 0.7, rng),
        crowns(groves & (zones["meadow"] | rural).buffer(-4), 6.5, (2.4, 5), 0.8, rng),
    ]
    trees = np.vstack(groups)
    built = shapely.STRtree([obj.shape for obj in objects])
    near, _ = built.query(shapely.points(trees[:, :2]), predicate="dwithin", distance=0.8 * trees[:, 2] + 1.5)
    return np.delete(trees, near, axis=0)
