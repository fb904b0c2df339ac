"""Checks on rasters from untrusted sources, before any pixel is decoded.

References: a VRT, and some other formats, do not hold pixels but refer to other files and addresses. A scene from a
stranger could thus bring the user's own files, or the answer of an internal address, into a caption. Unless
`--allow-external` is given, a scene may refer only to files in its own folder, after links have been resolved, and
nothing is fetched while that is checked (`open_checked`).

Readability: a file that is cut short, or stored in blocks that do not fit into memory, is refused by its header instead
of failing somewhere in the middle of a run (`check_readable`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import rasterio

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import Drivers, dtype_bytes, local_file, open_dataset, quiet_gdal

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
_FILE_KEYS = {"OVERVIEW_FILE", "X_DATASET", "Y_DATASET", "RPC_DEM"}
"""Metadata keys whose values GDAL takes for file names."""
_MAX_DEPTH = 8
"""Levels of VRTs within VRTs; GDAL opens them recursively."""
_MAX_XML_BYTES = 2**26
"""Size of a VRT beyond which it is refused unread."""
_ADDRESS = re.compile(r"(?:https?|ftp|s3|gs|az)://[^\s<>\"']+|/vsi[^\s<>\"']+")

_MAX_BLOCKS = 200_000
"""Block table entries that are checked, evenly spaced if there are more, so that opening takes about a second."""
_MAX_BANDS = 10_000
_MAX_BLOCK_BYTES = 2**29
"""Decoded size of a block. GDAL decodes whole blocks, so a compressed one of a few kilobytes could fill the memory."""


@contextmanager
def open_checked(path: str, allow_external: bool = False) -> Iterator[tuple[DatasetReader, Drivers]]:
    """Opens a raster after checking everything that it refers to; `allow_external` skips the check.

    Yields the dataset that was checked, and the drivers that later openings of it are limited to.

    Raises:
        SceneError: the raster is missing, unreadable, or refers to something outside of its own folder.
    """
    with quiet_gdal():
        dataset, drivers = (open_dataset(path), None) if allow_external else _open_and_check(path)
        with dataset:
            yield dataset, drivers


def _open_and_check(path: str) -> tuple[DatasetReader, Drivers]:
    file = local_file(path)
    if file is not None:
        return _open_local(path, file.absolute(), file.resolve().parent, set(), depth=0)
    if path.lstrip().startswith("<") or re.match(r"vrt:/", path, re.IGNORECASE):
        raise _refusal(path, path)
    drivers = _self_contained_drivers()
    dataset = _open(path, path, drivers)
    _check_files(path, dataset, Path(dataset.files[0]).parent if dataset.files else Path(path))
    return dataset, drivers


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
        return _open_product(scene, file, home)
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


def _open_product(scene: str, file: Path, home: Path) -> tuple[DatasetReader, Drivers]:
    """Opens an XML file that is not a VRT: the header of a product whose parts lie next to it, or a web service.

    Raises:
        SceneError: it is a service, or damaged.
    """
    drivers = _self_contained_drivers()
    try:
        with quiet_gdal(offline=True):
            dataset = open_dataset(str(file), drivers)
            _check_files(scene, dataset, home, Path(scene).absolute().parent)
    except SceneError:
        address = _ADDRESS.search(file.read_text(encoding="utf-8", errors="replace"))
        raise _refusal(scene, address[0] if address else file.name) from None
    return dataset, drivers


def _check_files(scene: str, dataset: DatasetReader, *homes: Path) -> None:
    """Checks the files that an open raster consists of; closes it if one of them may not be read.

    Raises:
        SceneError: one of them lies outside of these folders.
    """
    try:
        if overviews := dataset.tags(ns="OVERVIEWS").get("OVERVIEW_FILE"):
            raise _refusal(scene, overviews)
        for name in dataset.files:
            resolved = Path(name) if name.startswith("/vsi") else Path(name).resolve()
            if not any(resolved.is_relative_to(home) or Path(name).parent == home for home in homes):
                raise _refusal(scene, name)
    except BaseException:
        dataset.close()
        raise


def _open(path: str, scene: str, drivers: Drivers) -> DatasetReader:
    try:
        return open_dataset(path, drivers)
    except SceneError as error:
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


def _local_name(tag: str) -> str:
    return tag.rpartition("}")[2].lower()


def _is_gdal_name(name: str) -> bool:
    """Whether GDAL takes a name for more than the name of a file: a virtual file system, a driver prefix, XML."""
    return name.startswith(("/vsi", "\\\\", "<")) or (":" in name and not os.path.exists(name))


def _refusal(scene: str, name: str) -> SceneError:
    return SceneError(
        f"{scene} refers to {name}, which is not in its own folder; if you trust the scene, give --allow-external"
    )


def check_readable(dataset: DatasetReader, path: str) -> None:
    """Checks a raster's header.

    Raises:
        SceneError: it has no band or far too many, is cut short, or is stored in blocks that do not fit into memory.
    """
    if dataset.count == 0:
        if dataset.subdatasets:
            raise SceneError(f"{path} has no bands; it holds {', '.join(dataset.subdatasets[:4])}; name one of them")
        raise SceneError(f"{path} has no bands; use another file")
    if dataset.count > _MAX_BANDS:
        raise SceneError(f"{path} has {dataset.count:,} bands; choose some with gdal_translate -b")
    if missing := _missing_bytes(dataset, path):
        raise SceneError(f"{path} is cut short: {missing} bytes are missing at its end; fetch the file again")
    if (largest := _largest_block(dataset)) > _MAX_BLOCK_BYTES:
        raise SceneError(
            f"{path} is stored in blocks of {largest / 2**30:.1f} GiB; "
            "cut it into smaller ones with gdal_translate -co TILED=YES"
        )


def _missing_bytes(dataset: DatasetReader, path: str) -> int:
    """Bytes by which the block table of a local GeoTIFF exceeds the file; 0 for all other sources."""
    if dataset.driver != "GTiff" or not Path(path).is_file():
        return 0
    block_height, block_width = dataset.block_shapes[0]
    rows, cols = -(-dataset.height // block_height), -(-dataset.width // block_width)
    last_band = dataset.count
    end = 0
    for block in range(0, rows * cols, max(1, rows * cols // _MAX_BLOCKS)):
        name = f"{block % cols}_{block // cols}"
        # Blocks that were never written have neither tag.
        offset = dataset.get_tag_item(f"BLOCK_OFFSET_{name}", "TIFF", bidx=last_band)
        size = dataset.get_tag_item(f"BLOCK_SIZE_{name}", "TIFF", bidx=last_band)
        if offset and size:
            end = max(end, int(offset) + int(size))
    return max(0, end - Path(path).stat().st_size)


def _largest_block(dataset: DatasetReader) -> int:
    """Bytes of the largest block once it is decoded, with all bands that are stored in it."""
    sizes = [
        height * width * dtype_bytes(dtype)
        for (height, width), dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True)
    ]
    interleaved = str(dataset.interleaving).rpartition(".")[2] == "pixel"
    return sum(sizes) if interleaved else max(sizes)
