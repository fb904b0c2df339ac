"""Products whose bands are files of their own (Sentinel-2, Landsat, HLS) → the raster of their red, green and blue.

    path ──find_product──▶ Product ──vrt──▶ VRT of three files, which GDAL opens as one raster

The bands are found by the file names that their providers define, in a folder or in an archive. No metadata of a
product is read, so it cannot lead to files elsewhere.
"""

from __future__ import annotations

import os
import re
import shlex
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.band_names import find_colours

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_COLOURS = ("red", "green", "blue")
_SENTINEL_2 = re.compile(
    r"(?P<product>(?:L2A_)?T\d\d[A-Z]{3}_\d{8}T\d{6}|S2[A-D]_\w+?|HLS\.[LS]30\..+?)[_.]"
    r"B(?P<band>0[234])(?:_(?P<metres>\d\d)m)?\.(?:jp2|tiff?)",
    re.IGNORECASE,
)
"""Names such as `T52SDD_20240101T021101_B04_10m.jp2`; HLS has the same bands for Landsat and Sentinel-2."""
_LANDSAT = re.compile(r"(?P<product>L[COTEM]0?(?P<satellite>\d)\w+?)(?:_SR)?_B(?P<band>\d)\.(?:tiff?)", re.IGNORECASE)
"""Names such as `LC09_L2SP_114036_20240101_20240102_02_T1_SR_B4.TIF`."""
_BAND_FILE = re.compile(
    r"(?:(?P<product>.+)[._-])?(?P<band>(?:sr_)?b\d\d?a?|red|green|blue|nir)\.(?:tiff?|jp2)", re.IGNORECASE
)
"""Names of files with one band each in a folder, such as `B04.tif` or `farm_red.tif`."""
_HEADER = re.compile(r"MTD_(?:MSIL\w+|TL)\.xml|S2[A-D]_OPER_MTD_\w+\.xml", re.IGNORECASE)
_LANDSAT_HEADER = re.compile(r"(?P<product>L[COTEM]\w+)_MTL\.(?:txt|xml|json)", re.IGNORECASE)
_SENTINEL_2_10M = re.compile(r'SENTINEL2_L\d\w:"?(?P<header>.+?MTD_MSIL\w+\.xml)"?:10m:EPSG_\d+')
"""GDAL's name of the bands at 10 m, which its driver finds by the header: one that misses a file shows it as black."""
_PRODUCT_ARCHIVE = re.compile(r"(?:S2[A-D]_MSI|L[COTE]0\d_).*\.(?:zip|tar)$", re.IGNORECASE)
"""Names of archives in a folder that are taken for scenes."""
_ARCHIVES = {".zip": "/vsizip/", ".tar": "/vsitar/"}
"""Suffix → prefix of the names under which GDAL reads what is in the archive."""
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".img", *PICTURE_SUFFIXES)
"""Endings of the names of files that are taken for scenes, in lower case."""
_MAX_NAMED = 4
_MAX_FILES = 50_000
"""Files of a folder or an archive that are looked at; a product has about a hundred."""
_FILL = 0
"""Value of pixels that were not observed, in all of these products."""


@dataclass(frozen=True)
class Product:
    """The files of the finest red, green and blue band of a product."""

    name: str
    """What the files have in common: satellite or tile, and date."""
    files: tuple[str, str, str]
    """Red, green and blue, by the names under which GDAL opens them."""
    bands: tuple[str, str, str]
    """Names of the bands, such as B04."""
    home: str
    """The folder or archive that was searched, by the name under which GDAL opens it."""
    members: frozenset[str] = frozenset()
    """Names of the files in its folder that hold its bands, where they do not begin with its own name."""
    has_fill: bool = True
    """Whether 0 is no data where the files declare nothing."""


def find_product(path: str) -> Product | None:
    """The product that a folder, an archive, or the header of a product stands for; None for anything else.

    Raises:
        SceneError: there are several products, or an archive without any.
    """
    if (named := _SENTINEL_2_10M.fullmatch(path)) and os.path.isfile(named["header"]):
        return find_product(named["header"])
    name, home = Path(path).name, Path(path).absolute()
    try:
        # os.path takes names that are too long for files, such as signed addresses; pathlib raises an error.
        if _HEADER.fullmatch(name) and os.path.isfile(path):
            products = products_in(str(home.parent))
        elif header := _LANDSAT_HEADER.fullmatch(name):
            products = [p for p in products_in(str(home.parent)) if p.name == header["product"].removesuffix("_SR")]
        elif os.path.isdir(path) or (home.suffix.lower() in _ARCHIVES and _is_archive(home)):
            products = products_in(str(home))
        else:
            return None
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise SceneError(f"cannot read {path}: {error}; fetch it again") from error
    if len(products) > 1:
        raise SceneError(f"{path} holds the bands of {len(products)} products; {_choices(products)}")
    return products[0] if products else None


def scenes_in(folder: str) -> list[str]:
    """The scenes that a folder stands for: itself if it is one product, else the rasters and products in it.

    Raises:
        SceneError: it holds bands of several products.
    """
    if is_zarr(folder):
        return [folder]
    product = find_product(folder)
    own = f"{product.name}_" if product is not None else None
    paths = [] if product is None else [folder]
    for path in sorted(Path(folder).iterdir()):
        name = str(path)
        if path.is_dir():
            is_scene = is_zarr(name) or (path.suffix.upper() == ".SAFE" and bool(products_in(name)))
        elif _PRODUCT_ARCHIVE.match(path.name):
            is_scene = True
        else:
            is_scene = path.suffix.lower() in RASTER_SUFFIXES and not (own and path.name.startswith(own))
            is_scene = is_scene and not (product is not None and path.name in product.members)
        if is_scene:
            paths.append(name)
    return paths


def products_in(folder: str) -> list[Product]:
    """The products whose files lie in a folder or an archive, in order of their names.

    Folders within it are searched too if it is one product by its name (`.SAFE`) or its header, or an archive.

    Raises:
        OSError: it cannot be read.
        zipfile.BadZipFile, tarfile.TarError: the archive is damaged.
    """
    path = Path(folder)
    if path.is_dir():
        names, home = _files_below(path), folder
    else:
        names, home = _archived_files(path), f"{_ARCHIVES[path.suffix.lower()]}{folder}"
    found: dict[tuple[str, str, int], dict[str, tuple[str, str]]] = {}
    for name in names:
        if (band := _band_of(name)) is not None:
            product, colour, metres, label = band
            found.setdefault((os.path.dirname(name), product, metres), {})[colour] = (f"{home}/{name}", label)
    finest: dict[tuple[str, str], Product] = {}
    for (place, product, _), bands in sorted(found.items(), key=lambda item: item[0][2]):
        if len(bands) == len(_COLOURS):
            files, labels = zip(*(bands[colour] for colour in _COLOURS), strict=True)
            # The folders of a Sentinel-2 granule differ by resolution only.
            granule = re.sub(r"/?R\d\dm$", "", place)
            finest.setdefault((granule, product), Product(product, files, labels, home))
    return sorted(finest.values(), key=lambda product: product.files) or (_bands_in(path) if path.is_dir() else [])


def _bands_in(folder: Path) -> list[Product]:
    """Products whose files are named for their bands only, or for a scene and its bands."""
    groups: dict[str, dict[str, str]] = {}
    for name in sorted(os.listdir(folder)):
        if match := _BAND_FILE.fullmatch(name):
            groups.setdefault(match["product"] or "", {})[match["band"]] = name
    found = []
    for product, names in groups.items():
        labels = list(names)
        if (colours := find_colours(labels)) is not None and not colours.is_doubtful:
            red, green, blue = (labels[position] for position in colours.positions)
            files = (f"{folder}/{names[red]}", f"{folder}/{names[green]}", f"{folder}/{names[blue]}")
            members = frozenset(names.values())
            found.append(
                Product(product or folder.name, files, (red, green, blue), str(folder), members, has_fill=False)
            )
    return found


def vrt(product: Product, datasets: Iterable[DatasetReader]) -> str:
    """A VRT of the bands of a product, as XML; `datasets` are its open files.

    Raises:
        SceneError: the files differ in size or position.
    """
    first, bands = None, []
    for number, (file, label, colour, dataset) in enumerate(
        zip(product.files, product.bands, _COLOURS, datasets, strict=True), start=1
    ):
        first = first or dataset
        if dataset.count != 1:
            raise SceneError(
                f"{file} has {dataset.count} bands, although it is named as one; rename it, or name the file"
            )
        if (dataset.shape, dataset.transform, dataset.crs) != (first.shape, first.transform, first.crs):
            raise SceneError(f"{product.name}: the files of its bands differ in size or position; fetch it again")
        height, width = dataset.block_shapes[0]
        bands.append(
            f'<VRTRasterBand dataType="{_gdal_type(dataset.dtypes[0])}" band="{number}" blockXSize="{width}" '
            f'blockYSize="{height}"><Description>{escape(label)}</Description>'
            f"<ColorInterp>{colour.capitalize()}</ColorInterp>"
            f"{_nodata(dataset, product)}<SimpleSource>"
            f'<SourceFilename relativeToVRT="0">{escape(file)}</SourceFilename><SourceBand>1</SourceBand>'
            "</SimpleSource></VRTRasterBand>"
        )
    assert first is not None
    srs = f"<SRS>{escape(first.crs.to_wkt())}</SRS>" if first.crs else ""
    transform = ", ".join(map(repr, first.transform.to_gdal()))
    return (
        f'<VRTDataset rasterXSize="{first.width}" rasterYSize="{first.height}">{srs}'
        f"<GeoTransform>{transform}</GeoTransform>{''.join(bands)}</VRTDataset>"
    )


def _nodata(dataset: DatasetReader, product: Product) -> str:
    nodata = _FILL if dataset.nodata is None and product.has_fill else dataset.nodata
    return "" if nodata is None else f"<NoDataValue>{nodata}</NoDataValue>"


def is_zarr(path: str) -> bool:
    """Whether a path is the folder of a Zarr store."""
    return any(os.path.isfile(os.path.join(path, name)) for name in (".zgroup", ".zarray", "zarr.json"))


def check_links(folder: str) -> None:
    """Refuses links that lead out of a folder whose files a driver reads as they are.

    Raises:
        SceneError: there is one.
    """
    home = Path(folder).resolve()
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(home):
                raise SceneError(
                    f"{folder} refers to {path.resolve()}, which is not in its own folder; if you trust the scene, "
                    "give --allow-external"
                )


def refuse_archive(path: str) -> None:
    """Says what to do with an archive that is no product.

    Raises:
        SceneError: the path is an archive.
    """
    file = Path(path)
    if (
        file.suffix.lower() in (".gz", ".tgz")
        and file.name.lower().endswith((".tar.gz", ".tgz"))
        and os.path.isfile(path)
    ):
        raise SceneError(f"{path} is a compressed archive; unpack it first, with: tar xf {path}")
    if file.suffix.lower() not in _ARCHIVES or not _is_archive(file):
        return
    prefix = f"{_ARCHIVES[file.suffix.lower()]}{file.absolute()}"
    rasters = [name for name in _archived_files(file) if name.lower().endswith(RASTER_SUFFIXES)]
    if not rasters:
        raise SceneError(f"there is no raster in the archive {path}; use another file")
    names = " or ".join(shlex.quote(f"{prefix}/{name}") for name in rasters[:_MAX_NAMED])
    raise SceneError(f"{path} is an archive; unpack it, or name a raster in it: {names}")


def _is_archive(path: Path) -> bool:
    """Whether a file is an archive of the kinds that GDAL reads file by file."""
    return os.path.isfile(path) and (
        zipfile.is_zipfile(path) if path.suffix.lower() == ".zip" else tarfile.is_tarfile(path)
    )


def _archived_files(path: Path) -> list[str]:
    """Names of the files in an archive.

    Raises:
        OSError, zipfile.BadZipFile, tarfile.TarError: it is damaged.
    """
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            return [name for name in archive.namelist()[:_MAX_FILES] if not name.endswith("/")]
    with tarfile.open(path, "r:") as tar:
        return [
            member.name.removeprefix("./") for _, member in zip(range(_MAX_FILES), tar, strict=False) if member.isfile()
        ]


def _files_below(folder: Path) -> list[str]:
    """Names of the files in a folder; of a product, those in its folders too."""
    names = os.listdir(folder)
    if not folder.name.upper().endswith(".SAFE") and not any(map(_HEADER.fullmatch, names)):
        return names
    below: list[str] = []
    for place, _, files in os.walk(folder):  # does not follow links
        below += [os.path.relpath(os.path.join(place, name), folder) for name in files]
        if len(below) > _MAX_FILES:
            break
    return below


def _band_of(file: str) -> tuple[str, str, int, str] | None:
    """Product, colour, resolution (0 where the name has none) and band name of a file, by its name."""
    name = file.rpartition("/")[2]
    if match := _SENTINEL_2.fullmatch(name):
        band = match["band"]
        return match["product"], {"04": "red", "03": "green", "02": "blue"}[band], int(match["metres"] or 0), f"B{band}"
    if match := _LANDSAT.fullmatch(name):
        offset = 4 if int(match["satellite"]) >= 8 else 3  # a coastal band came first with Landsat 8
        if match["product"][1].upper() in "COTE" and 0 <= offset - int(match["band"]) < len(_COLOURS):
            return match["product"], _COLOURS[offset - int(match["band"])], 0, f"B{match['band']}"
    return None


def _choices(products: list[Product]) -> str:
    """What to do to get one of the products."""
    folders = list(dict.fromkeys(product.files[0].rpartition("/")[0] for product in products))
    if folders[0].startswith("/vsi"):
        return "unpack the archive first"
    if len(folders) == len(products):
        return f"name one of them: {' or '.join(folders[:_MAX_NAMED])}"
    headers = (f"{product.files[0].rpartition('/')[0]}/{product.name}_MTL.txt" for product in products)
    known = [name for name in headers if os.path.exists(name)]
    return f"name one of them: {' or '.join(known[:_MAX_NAMED])}" if known else "put each into its own folder"


def _gdal_type(dtype: str) -> str:
    name = {"uint8": "Byte", "int8": "Int8"}.get(dtype, dtype.capitalize())
    return name.replace("Uint", "UInt")
