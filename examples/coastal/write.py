"""The files: a georeferenced image, and the truth about it as map layers and as numbers."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import from_origin
from shapely import MultiPolygon
from shapely.geometry.base import BaseGeometry

from coastal.world import SIDE, VALID, World

CRS = "EPSG:32629"
"""UTM zone 29 north, which holds the south-facing coast of the Algarve: no real place, but a plausible one."""

WEST, NORTH = 578_000.0, 4_101_500.0
"""Easting and northing of the scene's north-west corner in metres."""

NODATA = 0


def write_image(path: Path, pixels: NDArray[np.uint8], seed: int) -> None:
    """Save pixels (3, size, size) as a tiled, compressed GeoTIFF with overviews and declared nodata."""
    bands, height, width = pixels.shape
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": bands,
        "height": height,
        "width": width,
        "crs": CRS,
        "transform": from_origin(WEST, NORTH, SIDE / width, SIDE / height),
        "nodata": NODATA,
        "photometric": "RGB",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
        "predictor": 2,
    }
    with rasterio.open(path, "w", **profile) as scene:
        scene.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
        scene.write(pixels)
        scene.update_tags(TIFFTAG_IMAGEDESCRIPTION=f"Coastal town, drawn by coastal_town.py with seed {seed}")
        scene.build_overviews([factor for factor in (2, 4, 8, 16) if width // factor >= 64], Resampling.average)


def to_map(shape: BaseGeometry) -> BaseGeometry:
    """A geometry of the scene's frame in the coordinates of `CRS`."""
    return shapely.transform(shape, lambda xy: np.array([WEST, NORTH]) + xy * (1, -1))


def write_layers(path: Path, world: World) -> None:
    """Save the outlines of all objects and the zones as two layers of one GeoPackage."""
    objects = geopandas.GeoDataFrame(
        {
            "label": [obj.label for obj in world.objects],
            "style": [obj.style or None for obj in world.objects],
            "length_m": [round(obj.length, 2) for obj in world.objects],
            "width_m": [round(obj.width, 2) for obj in world.objects],
            # Ours turns from east towards south; a compass starts a quarter turn earlier.
            "heading": [round((obj.pose.angle + 90) % 360, 2) for obj in world.objects],
        },
        geometry=[to_map(obj.shape) for obj in world.objects],
        crs=CRS,
    )
    zones = geopandas.GeoDataFrame(
        {"zone": list(world.zones), "area_m2": [round(zone.area, 1) for zone in world.zones.values()]},
        geometry=[MultiPolygon(list(shapely.get_parts(to_map(zone)))) for zone in world.zones.values()],
        crs=CRS,
    )
    # A GeoPackage notes when it was last changed; one seed shall give one file, byte for byte.
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z"})
    try:
        objects.to_file(path, layer="objects", driver="GPKG")
        zones.to_file(path, layer="zones", driver="GPKG")
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def write_numbers(path: Path, world: World, seed: int, size: int) -> None:
    """Save counts per label and areas per zone as JSON."""
    numbers: dict[str, Any] = {
        "seed": seed,
        "size": size,
        "pixel_size_m": SIDE / size,
        "crs": CRS,
        "valid_fraction": round(VALID.area / SIDE**2, 6),
        "counts": dict(sorted(Counter(obj.label for obj in world.objects).items())),
        "areas_m2": {name: round(zone.area, 1) for name, zone in sorted(world.zones.items())},
    }
    path.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")
