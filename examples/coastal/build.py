"""Build the world: plan the land, place the things, grow the trees."""

import numpy as np

from coastal.airfield import airfield_things
from coastal.country import fields_of, trees_of
from coastal.harbour import harbour_things
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
from coastal.town import bridges, town_things
from coastal.world import World, settle


def build(seed: int) -> World:
    """The whole scene as geometry; the same for a seed whatever its size in pixels will be."""
    rng = np.random.default_rng([seed, 0])
    coast, river = coast_line(rng), river_line(rng).buffer(29)
    quarters, (us, vs) = quarters_of(river), town_grid(rng)
    surfaces = harbour_surfaces() | airfield_surfaces()
    built = surfaces["quay"] | surfaces["breakwater"]
    zones = zones_of(coast, river, streets(us, vs, quarters), quarters, built, forest_shape(rng))
    candidates = [*harbour_things(zones, rng), *airfield_things(rng), *town_things(zones, us, vs, rng)]
    things = settle(candidates, zones) + bridges(zones["road"], river)
    trees = trees_of(zones, things, rng)
    return World(zones, surfaces, coast, things, fields_of(zones["farmland"], rng), trees)
