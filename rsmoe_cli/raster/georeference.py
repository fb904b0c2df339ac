"""Pixel coordinates → ground coordinates, and the footprints of pixel rectangles on the ground.

    read_georeference(dataset) ──▶ Georeference ──▶ Footprints(georeference, target CRS) ──▶ Polygon

Pixel coordinates are (column, row) of pixel corners with (0, 0) at the top left; ground coordinates are (x, y) in the
order easting, northing, or longitude, latitude. Footprints in longitude and latitude that cross the 180th meridian or
enclose a pole are cut as RFC 7946 requires.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.transform import GCPTransformer
from shapely.geometry import Point, Polygon
from shapely.geometry.base import BaseGeometry

from rsmoe_cli.raster.globe import continuous_control_points, valid_polygon, world_polygon
from rsmoe_cli.raster.orientation import AS_STORED, Orientation, exif_orientation, map_orientation

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

PixelMap = Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Columns and rows → x and y, arrays of the same length; infinite where the mapping is undefined."""

_MAX_CURVATURE = 1 / 500
"""An edge is densified if its middle is further from the straight line than this share of its length."""
_EDGE_SEGMENTS = 16
"""Segments of a densified edge."""
_MAX_JUMP = 12
"""Longest segment of an edge, relative to the median one; where it is longer, the edge leaves the map on one side and
comes back on the other."""
_MAX_COORDINATE = 1e15
"""No reference system has larger coordinates; products of larger ones overflow."""
_MAX_REASON = 120
"""Characters of a library's error message that are passed on."""

_NO_GEOREFERENCE = "no georeference: footprints are in pixels, x to the right and y down"
_NO_CRS = "no coordinate reference system: footprints keep the file's coordinates without one; set it with gdal_edit"
_INVALID = "the file's georeference makes no sense ({}): footprints are in pixels, x to the right and y down"
_BAD_CRS = "the file's CRS cannot be understood ({}): footprints keep the coordinates without one"
_EXIF_TURNED = (
    "; its pixels are those of the file as it is stored, but it is described as viewers show it, by its EXIF tag"
)
_EXIF_DRIVERS = ("JPEG", "PNG", "WEBP", "GTiff")
"""Drivers whose files may have an orientation tag that GDAL ignores."""
_EXIF_TAG = 0x0112
_RPC_ONLY = f"{_NO_GEOREFERENCE}; the file has RPCs only, warp it with 'gdalwarp -rpc' for positions on the map"


@dataclass(frozen=True)
class Georeference:
    """The position of a raster on the ground: an affine transform, ground control points, or neither."""

    transform: Affine
    """Pixel → ground; the identity if there is none, or if control points are used."""
    gcps: tuple[Any, ...] = ()
    """rasterio's ground control points; they are fitted by a polynomial, as GDAL and QGIS do by default."""
    crs: CRS | None = None
    """Reference system of the ground coordinates."""
    warning: str | None = None
    """What the user should know if the position is unknown or incomplete."""
    orientation: Orientation = AS_STORED
    """How the image has to be turned to be shown with north up, or as viewers show a photo."""

    @property
    def kind(self) -> str:
        """`affine`, `gcps` or `pixels`."""
        if self.gcps:
            return "gcps"
        return "pixels" if self.transform.is_identity else "affine"

    def pixel_map(self) -> PixelMap:
        """The mapping to the raster's own ground coordinates."""
        if not self.gcps:
            a, b, c, d, e, f = self.transform[:6]
            return lambda cols, rows: (a * cols + b * rows + c, d * cols + e * rows + f)

        transformer = GCPTransformer(list(self.gcps))

        def from_gcps(
            cols: NDArray[np.float64], rows: NDArray[np.float64]
        ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            xs, ys = transformer.xy(rows, cols, offset="ul")
            return np.asarray(xs, float), np.asarray(ys, float)

        return from_gcps

    def metres_per_pixel(self, width: int, height: int) -> float | None:
        """Ground sample distance at the centre of a scene of that size, measured on the ellipsoid.

        None without a CRS, or with a local one that has no known position on the globe.
        """
        if self.crs is None:
            return None
        try:
            to_globe = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        except ProjError:
            return None
        cols, rows = np.array([0.0, 1.0, 0.0]) + width / 2, np.array([0.0, 0.0, 1.0]) + height / 2
        xs, ys = self.pixel_map()(cols, rows)
        lons, lats = to_globe.transform(xs, ys)
        if not np.isfinite([*lons, *lats]).all():
            return None
        _, _, metres = Geod(ellps="WGS84").inv(lons[[0, 0]], lats[[0, 0]], lons[1:], lats[1:])
        return float(np.sqrt(np.prod(metres)))


def read_georeference(dataset: DatasetReader) -> Georeference:
    """The georeference of an open raster; an affine transform takes precedence over control points, as in GDAL.

    A damaged one is ignored with a warning, since images can be captioned without.
    """
    georeference = _position(dataset)
    if georeference.kind != "pixels":
        return dataclasses.replace(georeference, orientation=_on_map(georeference, dataset.width, dataset.height))
    orientation = exif_orientation(_exif_tag(dataset))
    if orientation.is_as_stored:
        return georeference
    return dataclasses.replace(georeference, orientation=orientation, warning=f"{georeference.warning}{_EXIF_TURNED}")


def _on_map(georeference: Georeference, width: int, height: int) -> Orientation:
    """The orientation at the centre of a raster of that size."""
    (a, b, _, d, e, _), is_affine = georeference.transform[:6], not georeference.gcps
    if georeference.crs is None and is_affine and (a, b, d, e) == (1, 0, 0, 1):
        return AS_STORED  # a part of an image without georeference: its coordinates are pixels, with y down
    cols, rows = np.array([0.0, 1.0, 0.0]) + width / 2, np.array([0.0, 0.0, 1.0]) + height / 2
    xs, ys = georeference.pixel_map()(cols, rows)
    return map_orientation((xs[1] - xs[0], ys[1] - ys[0]), (xs[2] - xs[0], ys[2] - ys[0]), georeference.crs)


def _exif_tag(dataset: DatasetReader) -> object:
    """The orientation tag of a photo; GDAL passes on that of JPEG only."""
    if tag := dataset.tags().get("EXIF_Orientation"):
        return tag
    if dataset.driver not in _EXIF_DRIVERS or not Path(dataset.name).is_file():
        return None
    try:
        with Image.open(dataset.name, formats=("JPEG", "PNG", "WEBP", "TIFF")) as image:
            return image.getexif().get(_EXIF_TAG)
    except Exception:  # a damaged header can make Pillow raise nearly anything; GDAL can read the pixels all the same
        return None


def _position(dataset: DatasetReader) -> Georeference:
    """The georeference as the file has it."""
    points, points_crs = dataset.gcps
    if not dataset.transform.is_identity:
        transform, gcps = dataset.transform, ()
    elif points:
        transform, gcps = Affine.identity(), tuple(points)
    else:
        return Georeference(Affine.identity(), warning=_RPC_ONLY if dataset.rpcs else _NO_GEOREFERENCE)
    crs, warning = _crs_of(points_crs if gcps else dataset.crs)
    gcps, crs = continuous_control_points(gcps, crs)
    if fault := _fault(Georeference(transform, gcps), dataset.width, dataset.height):
        return Georeference(Affine.identity(), warning=_INVALID.format(fault))
    return Georeference(transform, gcps, crs, warning)


def _crs_of(crs: Any) -> tuple[CRS | None, str | None]:
    """rasterio's reference system as pyproj's, or the reason why there is none."""
    if not crs:
        return None, _NO_CRS
    try:
        return CRS.from_wkt(crs.to_wkt(version="WKT2_2019")), None
    except (ProjError, RasterioError, ValueError) as error:
        return None, _BAD_CRS.format(" ".join(str(error).split())[:_MAX_REASON])


def _fault(georeference: Georeference, width: int, height: int) -> str | None:
    """What is wrong with the coordinates of a raster's corners; None if they span an area."""
    try:
        with np.errstate(all="ignore"):
            xs, ys = georeference.pixel_map()(
                np.array([0.0, width, width, 0.0]), np.array([0.0, 0.0, height, float(height)])
            )
    except (RasterioError, ValueError, CPLE_BaseError) as error:
        return " ".join(str(error).split())[:_MAX_REASON]
    if not (np.isfinite([xs, ys]).all() and np.abs([xs, ys]).max() < _MAX_COORDINATE):
        return "its corners have no valid coordinates"
    if not (np.ptp(xs) > 0 and np.ptp(ys) > 0 and Polygon(np.column_stack([xs, ys])).area > 0):
        return "its corners lie in a line"
    return None


class Footprints:
    """Transforms pixel rectangles to polygons on the ground, in the scene's own reference system or in another one."""

    def __init__(self, georeference: Georeference, target: CRS | None) -> None:
        """`target` is None to keep the scene's own coordinates as they are.

        Raises:
            pyproj.exceptions.ProjError: the scene's reference system cannot be transformed to the target.
        """
        self._pixel_map = georeference.pixel_map()
        self._wraps = target is not None and target.is_geographic
        self._transformer = (
            Transformer.from_crs(georeference.crs, target, always_xy=True)
            if georeference.crs is not None and target is not None and target != georeference.crs
            else None
        )
        self._from_degrees = georeference.crs is not None and georeference.crs.is_geographic and target is not None

    def of(self, rect: tuple[int, int, int, int]) -> BaseGeometry | None:
        """Footprint of a pixel rectangle (left, top, width, height), exterior counter-clockwise.

        None where the mapping is undefined.

        Edges are densified where the mapping bends them. In longitude and latitude a footprint that crosses the 180th
        meridian is cut there into two parts.
        """
        x, y, width, height = rect
        corners = np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)], float)
        with np.errstate(invalid="ignore"):
            ring = np.concatenate([self._edge(start, end)[:-1] for start, end in pairwise(corners)])
        if not (np.isfinite(ring).all() and np.abs(ring).max() < _MAX_COORDINATE):
            return None
        if self._wraps:
            return world_polygon(ring, is_continuous=self._transformer is None)
        return valid_polygon(ring)

    def point(self, x: float, y: float) -> Point | None:
        """Ground position of a point in pixels; None where the mapping is undefined."""
        x, y = self._points(np.array([(x, y)], float))[0]
        if not np.isfinite([x, y]).all():
            return None
        return Point(x - 360 * np.floor((x + 180) / 360) if self._wraps else x, y)

    def _edge(self, start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
        """Px2 ground points from one pixel corner to the next; two points if the edge is straight."""
        first, middle, last = self._points(np.linspace(start, end, 3))
        straight = np.hypot(*(middle - (first + last) / 2)) <= _MAX_CURVATURE * np.hypot(*(last - first))
        if straight and not self._needs_detail(first, middle, last):
            return np.array([first, last])
        points = self._points(np.linspace(start, end, _EDGE_SEGMENTS + 1))
        lengths = np.hypot(*np.diff(points, axis=0).T)
        may_jump = self._transformer is not None and not self._wraps
        if may_jump and lengths.max() > _MAX_JUMP * np.median(lengths):
            return np.full_like(points, np.nan)
        return points

    def _needs_detail(self, *points: NDArray[np.float64]) -> bool:
        """Whether longitudes of an edge may jump although it seems straight: near a pole, or around half the world."""
        lons, lats = np.array(points).T
        return self._wraps and self._transformer is not None and bool(np.abs(lats).max() > 89 or np.ptp(lons) > 90)

    def _points(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        xs, ys = self._pixel_map(pixels[:, 0], pixels[:, 1])
        if self._from_degrees:
            ys = np.clip(ys, -90, 90)  # cells whose centres are at the poles reach beyond them
        if self._transformer is not None:
            xs, ys = self._transformer.transform(xs, ys)
        return np.column_stack([xs, ys])
