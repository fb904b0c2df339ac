"""Small rasters written for tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

NORTH_UP = Affine(10, 0, 500_000, 0, -10, 4_000_000)


def rotated(degrees: float, pixel: float = 10) -> Affine:
    """Square pixels whose columns run `degrees` counter-clockwise of east."""
    along, across = pixel * math.cos(math.radians(degrees)), pixel * math.sin(math.radians(degrees))
    return Affine(along, across, 500_000, across, -along, 4_000_000)


CUSTOM_CRS = (
    'PROJCRS["Town grid",BASEGEOGCRS["WGS 84",DATUM["World Geodetic System 1984",'
    'ELLIPSOID["WGS 84",6378137,298.257223563]]],CONVERSION["oblique",METHOD["Oblique Stereographic",'
    'ID["EPSG",9809]],PARAMETER["Latitude of natural origin",36.1],PARAMETER["Longitude of natural origin",3.2],'
    'PARAMETER["Scale factor at natural origin",0.9999],PARAMETER["False easting",500000],'
    'PARAMETER["False northing",4000000]],CS[Cartesian,2],AXIS["e",east],AXIS["n",north],LENGTHUNIT["metre",1]]'
)

SITE_CRS = 'ENGCRS["site",EDATUM["site"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["m",1]]'
"""A system without a known position on the globe."""


def write_raster(
    path: Path,
    values: NDArray[Any],
    colours: str = "",
    descriptions: tuple[str, ...] = (),
    gcps: Any = None,
    mask: NDArray[Any] | None = None,
    palette: dict[int, tuple[int, int, int, int]] | None = None,
    **profile: Any,
) -> str:
    """Writes CxHxW values as a GeoTIFF. `colours` names interpretations, such as `red green blue alpha`."""
    profile = {"crs": "EPSG:32631", "transform": NORTH_UP, **profile} if gcps is None else profile
    count, height, width = values.shape
    if "crs" in profile and profile["crs"] is None:
        del profile["crs"]
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=values.dtype, **profile
    ) as dataset:
        if gcps is not None:
            points, gcps_crs = gcps
            dataset.gcps = points, CRS.from_user_input(gcps_crs) if gcps_crs else CRS()
        if colours:
            dataset.colorinterp = [ColorInterp[name] for name in colours.split()]
        for index, text in enumerate(descriptions, start=1):
            dataset.set_band_description(index, text)
        if palette:
            dataset.write_colormap(1, palette)
        dataset.write(values)
        if mask is not None:
            dataset.write_mask(mask)
    return str(path)


def noise(count: int, height: int, width: int, dtype: str = "uint8", low: int = 1, high: int = 255) -> NDArray[Any]:
    """CxHxW random values in [low, high)."""
    return np.random.default_rng(0).integers(low, high, (count, height, width)).astype(dtype)


def rgb(path: Path, height: int = 50, width: int = 70, **profile: Any) -> str:
    """A plain three-band image in which every pixel is valid."""
    return write_raster(path, noise(3, height, width), "red green blue", photometric="RGB", **profile)


def sea(spots: Sequence[tuple[int, int]], height: int = 96, width: int = 128) -> NDArray[Any]:
    """3xHxW values of a blue image with a white square of 3x3 pixels around each of the spots (column, row)."""
    values = np.zeros((3, height, width), np.uint8)
    values[:] = np.array([20, 60, 120], np.uint8)[:, None, None]
    for x, y in spots:
        values[:, y - 1 : y + 2, x - 1 : x + 2] = 250
    return values
