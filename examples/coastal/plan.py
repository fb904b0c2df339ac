"""The plan of the land: where coast, river, roads and quarters lie, and the partition of the ground into zones."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from coastal.world import SIDE, VALID, Pose

AIRFIELD = Pose(765, 462, 6)
TOWN = Pose(1330, 1690, 3)
SUBURB = Pose(2140, 1745, -5)
QUAY = 2232.0
"""The y of the quay's edge in metres."""

MILLIMETRE = 0.001
"""Zones have their corners on this grid, so that they stay valid in large map coordinates."""

BREAKWATERS = (
    LineString([(1006, 2222), (996, 2420), (1050, 2570), (1180, 2640), (1320, 2662)]),
    LineString([(1774, 2222), (1806, 2430), (1746, 2570), (1620, 2622), (1490, 2630)]),
)
JETTIES = (1062.0, 1126.0, 1190.0, 1254.0)
"""The x of the marina's jetties in metres."""

PIERS = (box(1318, 2220, 1364, 2440), box(1528, 2220, 1584, 2470))

TANK_FARM = Polygon([(1130, 838), (1480, 868), (1480, 982), (1130, 960)])
"""Storage tanks between airfield and highway."""

HIGHWAY = LineString([(-40, 925), (500, 955), (1000, 985), (1500, 1010), (1900, 1050), (2400, 1130), (3064, 1160)])
COAST_ROAD = LineString([(1700, 1795), (1930, 1800), (2180, 1830), (2330, 2000), (2560, 2110), (3064, 2120)])
WEST_ROAD = LineString([(900, 1700), (640, 1690), (420, 1740), (200, 1700), (-40, 1730)])
LINKS = (
    LineString([(1010, 975), (1005, 1270)]),
    LineString([(1420, 1000), (1400, 1270)]),
    LineString([(700, 800), (705, 965)]),
    LineString([(2420, 1125), (2330, 1500), (2270, 1900)]),
    LineString([(2600, -40), (2570, 500), (2620, 1150)]),
)


def smooth(line: LineString, rounds: int = 3) -> LineString:
    """Round a line's corners by cutting them, again and again."""
    points = np.asarray(line.coords)
    for _ in range(rounds):
        near, far = 0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]
        points = np.vstack([points[:1], np.stack([near, far], axis=1).reshape(-1, 2), points[-1:]])
    return LineString(points)


def coast_line(rng: np.random.Generator) -> NDArray[np.float64]:
    """The natural waterline (n, 2): it winds, except where the harbour was built."""
    x = np.arange(-120, SIDE + 121, 12.0)
    phase = rng.uniform(0, 2 * np.pi, 3)
    wobble = 42 * np.sin(x / 330 + phase[0]) + 16 * np.sin(x / 120 + phase[1]) + 5 * np.sin(x / 41 + phase[2])
    wild = np.clip(np.maximum(980 - x, x - 1800) / 200, 0, 1)
    return np.column_stack([x, QUAY - 4 + wobble * wild])


def river_line(rng: np.random.Generator) -> LineString:
    """The river's middle, from the northern edge to the sea."""
    points = np.array(
        [
            (1560.0, -60),
            (1605, 240),
            (1545, 560),
            (1610, 860),
            (1790, 1120),
            (1945, 1420),
            (1900, 1700),
            (1925, 1960),
            (1985, 2330),
        ]
    )
    points[1:-1] += rng.uniform(-18, 18, (len(points) - 2, 2))
    return smooth(LineString(points), 4)


def street_grid(frame: Pose, us: NDArray[np.float64], vs: NDArray[np.float64], width: float) -> BaseGeometry:
    """Streets along the given u and v of a quarter's frame."""
    along = [frame.rectangle(us[0], v - width / 2, us[-1], v + width / 2) for v in vs]
    across = [frame.rectangle(u - width / 2, vs[0], u + width / 2, vs[-1]) for u in us]
    return shapely.union_all(along + across)


def partition(claims: list[tuple[str, BaseGeometry]]) -> dict[str, BaseGeometry]:
    """Give every bit of valid ground to the first claim on it; what nobody claims is meadow."""
    left: BaseGeometry = VALID
    zones: dict[str, BaseGeometry] = {}
    for zone, shape in [*claims, ("meadow", box(0, 0, SIDE, SIDE))]:
        zones[zone] = polygons_of(shapely.intersection(left, shape, grid_size=MILLIMETRE))
        left = shapely.difference(left, shape, grid_size=MILLIMETRE)
    return zones


def polygons_of(shape: BaseGeometry) -> BaseGeometry:
    """The areas of a geometry, without the points and lines that an overlay may leave."""
    return shapely.union_all(
        [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 1]
    )


def harbour_surfaces() -> dict[str, BaseGeometry]:
    """What was built into the water: quays with piers, jetties of the marina, breakwaters of stone."""
    return {
        "quay": shapely.union_all([box(1000, 2128, 1782, QUAY), *PIERS]),
        "jetty": shapely.union_all([box(x - 1.6, QUAY, x + 1.6, QUAY + 178) for x in JETTIES]),
        "breakwater": shapely.union_all([smooth(line).buffer(11, cap_style="round") for line in BREAKWATERS]),
    }


def airfield_surfaces() -> dict[str, BaseGeometry]:
    """Runway, taxiways and apron."""
    f = AIRFIELD
    links = [f.rectangle(u - 12, -215, u + 12, -60) for u in (-628, 628)]
    exits = [Polygon(f.ground([(u, -215), (u + 30, -215), (u + 120, -60), (u + 90, -60)])) for u in (-420, -120, 230)]
    return {
        "runway": f.rectangle(-660, -240, 660, -192),
        "taxiway": shapely.union_all(
            [f.rectangle(-640, -76, 640, -50), *links, *exits, f.rectangle(455, -60, 485, 40)]
        ),
        "apron": f.rectangle(-350, -62, 350, 190) | f.rectangle(400, 20, 640, 80),
    }


def streets(
    us_town: NDArray[np.float64], vs_town: NDArray[np.float64], quarters: dict[str, BaseGeometry]
) -> BaseGeometry:
    """All roads: the long ones, and the streets of town and suburb."""
    long = [smooth(HIGHWAY).buffer(10), smooth(COAST_ROAD).buffer(7.5), smooth(WEST_ROAD).buffer(5)]
    long += [smooth(line).buffer(5.5) for line in LINKS]
    grid = street_grid(TOWN, us_town, vs_town, 9) & quarters["town"]
    avenue = TOWN.rectangle(-9, vs_town[0], 9, vs_town[-1]) & quarters["town"]
    lanes = street_grid(SUBURB, np.array([-80.0, 5, 90]), np.arange(-360, 361, 80.0), 8) & quarters["suburb"]
    return shapely.union_all([*long, grid, avenue, lanes])


def quarters_of(river: BaseGeometry) -> dict[str, BaseGeometry]:
    """Where people live: the dense town west of the river, the suburb east of it, scattered houses in the west."""
    banks = river.buffer(14)
    return {
        "town": Polygon([(835, 1255), (1740, 1255), (1850, 1480), (1850, 2122), (1000, 2122), (835, 2060)]) - banks,
        "suburb": box(1990, 1360, 2262, 2125) - banks,
        "sparse": Polygon([(40, 1425), (690, 1400), (695, 2080), (60, 2090)]),
    }


def town_grid(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The u and v of the town's streets: blocks of uneven length."""
    us, vs = np.arange(-620, 621, 104.0), np.arange(-480, 481, 62.0)
    us[1:-1] += rng.uniform(-9, 9, len(us) - 2)
    us[np.abs(us).argmin()] = 0.0
    return us, vs


def zones_of(
    coast: NDArray[np.float64],
    river: BaseGeometry,
    roads: BaseGeometry,
    quarters: dict[str, BaseGeometry],
    built: BaseGeometry,
    forest: BaseGeometry,
) -> dict[str, BaseGeometry]:
    """The partition of the valid ground, the stronger claim first."""
    sea = Polygon([*coast, (SIDE + 120, SIDE + 120), (-120, SIDE + 120)])
    strand = LineString(coast).buffer(74) - box(985, 0, 1800, SIDE)
    west, east = (np.asarray(smooth(line).coords) for line in BREAKWATERS)
    basin = Polygon([*west, *east[::-1]])
    return partition(
        [
            ("harbour", basin | built),
            ("sea", sea),
            ("road", roads),
            ("river", river),
            ("airfield", AIRFIELD.rectangle(-700, -300, 700, 262)),
            (
                "parking",
                shapely.union_all(
                    [AIRFIELD.rectangle(-240, 268, 180, 338), box(850, 1050, 985, 1200), box(700, 2090, 930, 2140)]
                ),
            ),
            ("sports", box(1060, 1040, 1370, 1220) | box(1450, 1060, 1590, 1200)),
            ("industrial", Polygon([(1786, 2128), (1886, 2128), (1880, 2218), (1786, 2218)]) | TANK_FARM),
            ("beach", strand),
            ("residential", quarters["town"] | quarters["suburb"]),
            ("sparse_residential", quarters["sparse"]),
            ("forest", forest),
            ("farmland", farmland_shape()),
        ]
    )


def forest_shape(rng: np.random.Generator) -> BaseGeometry:
    """The wood in the east, and smaller ones in the west, with ragged edges and a few clearings."""
    east = Polygon([(2290, 1230), (2700, 1190), (3024, 1200), (3024, 2080), (2560, 2075), (2360, 1960), (2300, 1560)])
    wood: BaseGeometry = east | Point(140, 1990).buffer(130) | Point(330, 1330).buffer(55)
    edge = shapely.line_merge(wood.boundary)
    spots = shapely.line_interpolate_point(edge, np.arange(0, edge.length, 13.0))
    spots = shapely.transform(spots, lambda xy: xy + rng.normal(0, 7, xy.shape))
    bites = rng.random(len(spots)) < 0.5
    discs = shapely.buffer(spots, rng.gamma(3, 4, len(spots)))
    middles = np.repeat(rng.uniform((2380, 1280), (2960, 1960), (5, 2)), 5, axis=0)
    clearings = shapely.buffer(
        shapely.points(middles + rng.normal(0, 9, middles.shape)), rng.uniform(4, 14, len(middles))
    )
    return (wood | shapely.union_all(discs[~bites])) - shapely.union_all([*discs[bites], *clearings])


def farmland_shape() -> BaseGeometry:
    """Fields in the north-east between river and highway, and in the west."""
    east = Polygon([(1680, 0), (3024, 0), (3024, 1130), (2420, 1100), (1860, 1020), (1700, 820), (1690, 400)])
    return east | Polygon([(0, 985), (800, 1015), (800, 1370), (0, 1395)])
