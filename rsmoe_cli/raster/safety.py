"""Checks what rasters from untrusted sources refer to, before any pixel is decoded.

A VRT, and some other formats, do not hold pixels but refer to other files and addresses. A scene from a
stranger could thus bring the user's own files, or the answer of an internal address, into a caption. Unless
`--allow-external` is given, a scene may refer only to files in its own folder, after links have been resolved, and
nothing is fetched while that is checked (`open_checked`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import rasterio

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import NO_RASTER, Drivers, local_file, open_dataset, quiet_gdal
from rsmoe_cli.raster.products import Product, check_links, find_product, is_zarr, refuse_archive, vrt
from rsmoe_cli.raster.subdatasets import colour_rasters, raster_drivers

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_VRT = ("VRT",)
_REFERRING_DRIVERS = {
    *_VRT,
    "DAAS",
    "DERIVED",
    "ECRGTOC",
    "EEDA",
    "EEDAI",
    "ESRIC",
    "GTI",
    "HTTP",
    "KMLSUPEROVERLAY",
    "MRF",
    "OGCAPI",
    "PLMOSAIC",
    "PostGISRaster",
    "Rasterlite",
    "RPFTOC",
    "STACIT",
    "STACTA",
    "TIL",
    "WCS",
    "WMS",
    "WMTS",
}
"""Drivers of formats that refer to pixels stored elsewhere; some fetch them as soon as a file is opened."""
_VRT_BAND = "VRTRasterBand"
_ZARR = ("Zarr",)
_ARCHIVED = ("/vsizip/", "/vsitar/")
_RASTER_SIDECARS = (".ovr", ".msk")
_FILE_KEYS = {"OVERVIEW_FILE", "X_DATASET", "Y_DATASET", "RPC_DEM"}
"""Metadata keys whose values GDAL takes for file names."""
_MAX_DEPTH = 8
"""Levels of VRTs within VRTs; GDAL opens them recursively."""
_MAX_XML_BYTES = 2**26
"""Size of a VRT beyond which it is refused unread."""
_ADDRESS = re.compile(r"(?:https?|ftp|s3|gs|az)://[^\s<>\"']+|/vsi[^\s<>\"']+")


@contextmanager
def open_checked(path: str, allow_external: bool = False) -> Iterator[tuple[DatasetReader, Drivers, str | None]]:
    """Opens a raster, or the raster of a product, after checking everything that it refers to.

    `allow_external` skips the check. Yields the dataset that was checked, the drivers that later openings of it are
    limited to, and the name under which GDAL opens it where that is not the path.

    Raises:
        SceneError: the raster is missing, unreadable, or refers to something outside of its own folder.
    """
    with quiet_gdal():
        dataset, drivers, source = _open_source(path, allow_external)
        with dataset:
            yield dataset, drivers, source


def _open_source(path: str, allow_external: bool) -> tuple[DatasetReader, Drivers, str | None]:
    if product := find_product(path):
        source = _product_vrt(path, product, allow_external)
        return open_dataset(path, _VRT, source), _VRT, source
    if is_zarr(path):
        source = f'ZARR:"{Path(path).absolute()}"'
        if not allow_external:
            check_links(path)
        return _with_colours(path, open_dataset(path, _ZARR, source), _ZARR, source)
    refuse_archive(path)
    dataset, drivers = (open_dataset(path), None) if allow_external else _open_and_check(path)
    return _with_colours(path, dataset, drivers, None)


def _with_colours(
    path: str, dataset: DatasetReader, drivers: Drivers, source: str | None
) -> tuple[DatasetReader, Drivers, str | None]:
    """A VRT of the red, green and blue raster in a file that has been checked; the file itself if it has none."""
    if dataset.count or not (product := colour_rasters(dataset, path)):
        return dataset, drivers, source
    with ExitStack() as stack, quiet_gdal(offline=True):
        try:
            parts = [stack.enter_context(open_dataset(path, raster_drivers(dataset), name)) for name in product.files]
            if {part.count for part in parts} != {1}:
                return dataset, drivers, source
            colours = vrt(product, parts)
        except SceneError:  # rasters of several sizes, or axes: the user has to choose
            return dataset, drivers, source
    dataset.close()
    return open_dataset(path, _VRT, colours), _VRT, colours


def _product_vrt(path: str, product: Product, allow_external: bool) -> str:
    """The VRT of a product whose files have been checked: all lie in its own folder or archive."""
    with ExitStack() as stack, quiet_gdal(offline=not allow_external):
        opened = open_dataset if allow_external else partial(_open_part, path, product.home)
        return vrt(product, [stack.enter_context(opened(file)) for file in product.files])


def _open_part(scene: str, home: str, name: str) -> DatasetReader:
    """Opens a file that a scene consists of, after checking that it lies in a folder or an archive, and holds pixels.

    Raises:
        SceneError: it does not, or refers to other files.
    """
    if name.startswith("/vsi"):
        if not Path(os.path.normpath(name)).is_relative_to(os.path.normpath(home)):
            raise _refusal(scene, name)
        dataset = _open(name, scene, _self_contained_drivers())
        _check_files(scene, dataset, Path(os.path.normpath(home)))
        return dataset
    if _is_gdal_name(name) or not Path(name).resolve().is_relative_to(Path(home).resolve()):
        raise _refusal(scene, name)
    local_file(name)
    return _open_local(scene, Path(name).absolute(), Path(home).resolve(), set(), depth=1)[0]


def _open_and_check(path: str) -> tuple[DatasetReader, Drivers]:
    file = local_file(path)
    if file is not None:
        return _open_local(path, file.absolute(), file.resolve().parent, set(), depth=0)
    if path.lstrip().startswith("<") or re.match(r"vrt:/", path, re.IGNORECASE):
        raise _refusal(path, path)
    drivers = _self_contained_drivers()
    dataset = _open(path, path, drivers)
    _check_files(path, dataset, *_homes(path, dataset))
    return dataset, drivers


def _homes(name: str, dataset: DatasetReader) -> tuple[Path, ...]:
    """Where the files of a raster may lie that was opened by one of GDAL's own names, such as `ZARR:"a.zarr":/red`."""
    parts = re.split(r'[:"]+', name)
    for first in range(1, len(parts)):
        for last in range(len(parts), first, -1):
            path = Path(":".join(parts[first:last]))
            if str(path) not in ("", ".") and path.exists() and not str(path).startswith("/vsi"):
                home = path if path.is_dir() else path.parent
                if path.is_dir():
                    check_links(str(path))
                return home.absolute(), home.resolve()
    return (Path(dataset.files[0] if dataset.files else name).parent,)


def _open_local(scene: str, file: Path, home: Path, seen: set[Path], depth: int) -> tuple[DatasetReader, Drivers]:
    """Opens one file of a scene after checking the files that it refers to.

    Args:
        scene: Name of the scene, for messages.
        file: The scene's own file, or one that it refers to.
        home: The only folder that references may lead to.
        seen: Files that have been checked.
        depth: Number of VRTs on the way to the file.

    Raises:
        SceneError: the file cannot be opened, or refers to something outside of its folder.
    """
    seen.add(file)
    if depth > _MAX_DEPTH:
        raise SceneError(f"{scene} has VRTs in VRTs more than {_MAX_DEPTH} deep; flatten it with gdal_translate")
    root = _xml_root(scene, file)
    if root is not None and _local_name(root.tag) != "vrtdataset":
        return _open_product(scene, file, root, home)
    if root is not None:
        for name, target in _references(root, file):
            if _is_gdal_name(target) or not Path(target).resolve().is_relative_to(home):
                raise _refusal(scene, name)
            if os.path.exists(target):  # a missing source only costs the tiles that need it
                local_file(target)
                nested = Path(target).absolute()
                if nested not in seen:
                    _open_local(scene, nested, home, seen, depth + 1)[0].close()
    drivers = _self_contained_drivers() if root is None else _VRT
    with quiet_gdal(offline=True):
        dataset = _open(str(file), scene, drivers)
        _check_files(scene, dataset, home, Path(scene).absolute().parent)
    return dataset, drivers


def _open_product(scene: str, file: Path, root: ElementTree.Element, home: Path) -> tuple[DatasetReader, Drivers]:
    """Opens an XML file that is not a VRT: the header of a product whose parts lie next to it, or a web service.

    Raises:
        SceneError: it is a service, or damaged.
    """
    drivers = _self_contained_drivers()
    try:
        with quiet_gdal(offline=True):
            dataset = _open(str(file), scene, drivers)
            _check_files(scene, dataset, home, Path(scene).absolute().parent)
    except SceneError:
        if address := _address(root):
            raise _refusal(scene, address) from None
        raise
    return dataset, drivers


def _check_files(scene: str, dataset: DatasetReader, *homes: Path) -> None:
    """Checks the files that an open raster consists of; closes it if one of them may not be read.

    Raises:
        SceneError: one of them lies outside of these folders.
    """
    try:
        overviews = dataset.tags(ns="OVERVIEWS").get("OVERVIEW_FILE")
        for name in [*dataset.files, *filter(None, [overviews])]:
            if name == overviews and _is_gdal_name(name) and not name.startswith(_ARCHIVED):
                raise _refusal(scene, name)
            resolved = Path(os.path.normpath(name)) if name.startswith("/vsi") else Path(name).resolve()
            if not any(resolved.is_relative_to(home) or Path(name).parent == home for home in homes):
                raise _refusal(scene, name)
            if name == overviews or name.lower().endswith(_RASTER_SIDECARS):
                _check_sidecar(scene, name)
        if dataset.driver not in _VRT:
            for name in _sources(scene, dataset):
                _open_part(scene, str(homes[-1]), name).close()
    except BaseException:
        dataset.close()
        raise


def _check_sidecar(scene: str, name: str) -> None:
    """Refuses overviews and masks that are no rasters of their own: GDAL opens them with all drivers, VRTs included."""
    if not name.startswith("/vsi") and os.path.exists(name):
        try:
            open_dataset(name, _self_contained_drivers()).close()
        except SceneError:
            raise _refusal(scene, name) from None


def _sources(scene: str, dataset: DatasetReader) -> list[str]:
    """The files that the driver of a product, such as SENTINEL2, reads pixels from without listing them.

    Raises:
        SceneError: a band has no file; the driver would show it as black.
    """
    if not (text := dataset.tags(ns="xml:VRT").get("xml:VRT")):
        return []
    root = ElementTree.fromstring(text)
    if dataset.driver == "SENTINEL2" and any(band.find(".//SourceFilename") is None for band in root.iter(_VRT_BAND)):
        raise SceneError(f"{scene} lacks the files of some bands; name the folder of the product, or fetch it again")
    return list(dict.fromkeys(element.text or "" for element in root.iter("SourceFilename")))


def _open(path: str, scene: str, drivers: Drivers) -> DatasetReader:
    try:
        return open_dataset(path, drivers)
    except SceneError as error:
        if not str(error).endswith(NO_RASTER):
            raise
        raise SceneError(
            f"cannot read {scene}: it is not a raster that GDAL knows, it is damaged, or it only refers to other files "
            "(then --allow-external lets it); try gdalinfo"
        ) from error


@lru_cache(maxsize=1)
def _self_contained_drivers() -> tuple[str, ...]:
    with rasterio.Env() as env:
        return tuple(sorted(set(env.drivers()) - _REFERRING_DRIVERS))


def _xml_root(scene: str, file: Path) -> ElementTree.Element | None:
    """The root element of an XML file; None for all other files.

    Raises:
        SceneError: it is not well-formed, so that its references cannot be known.
    """
    with file.open("rb") as stream:
        if not stream.read(1000).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
            return None
    if file.stat().st_size > _MAX_XML_BYTES:
        raise SceneError(f"{scene} is too large to be checked; use a scene that holds its pixels itself")
    try:
        return ElementTree.fromstring(file.read_bytes())
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise SceneError(f"cannot read {scene}: {file.name} is damaged ({error}); fetch it again") from error


def _references(root: ElementTree.Element, file: Path) -> Iterator[tuple[str, str]]:
    """Every file that a VRT refers to: as it is written, and as GDAL will look for it."""
    for element in root.iter():
        for name in _file_names(element):
            relative = any(
                key.lower() == "relativetovrt" and value.strip() != "0" for key, value in element.attrib.items()
            )
            yield name, str(file.resolve().parent / name) if relative and not _is_gdal_name(name) else name


def _file_names(element: ElementTree.Element) -> Iterator[str]:
    """File names in an element; GDAL accepts attributes and child elements alike."""
    values = [(_local_name(element.tag), element.text or ""), *element.attrib.items()]
    key = element.get("key") or element.get("name") or ""
    if key.upper() in _FILE_KEYS or "filename" in key.lower():
        values.append(("filename", element.text or ""))
    for name, value in values:
        if re.search(r"(filename|dataset|file)$", name.lower()) and value.strip():
            yield value.strip()


def _address(root: ElementTree.Element) -> str | None:
    """The first network address in an XML file, namespaces and schemas aside."""
    for element in root.iter():
        values = (value for key, value in element.attrib.items() if not key.endswith("schemaLocation"))
        if match := _ADDRESS.search(" ".join((element.text or "", *values))):
            return match[0]
    return None


def _local_name(tag: str) -> str:
    return tag.rpartition("}")[2].lower()


def _is_gdal_name(name: str) -> bool:
    """Whether GDAL takes a name for more than the name of a file: a virtual file system, a driver prefix, XML."""
    return name.startswith(("/vsi", "\\\\", "<")) or (":" in name and not os.path.exists(name))


def _refusal(scene: str, name: str) -> SceneError:
    return SceneError(
        f"{scene} refers to {name}, which is not in its own folder; if you trust the scene, give --allow-external"
    )
