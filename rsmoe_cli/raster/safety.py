"""Keeps a raster from reading what it was not asked for: files elsewhere, the network.

A VRT, and some other formats, hold no pixels but names of where pixels are. A scene from a stranger could so bring
the reader's own files, or what an address answers, into a caption. Unless `--allow-external` is given, a scene may
name files in its own folder only; links are followed before that is decided.

Finds rasters that cannot be read whole, or not piece by piece, without decoding a pixel.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import rasterio

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import local_file, open_dataset, quiet_gdal

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_VRT = ("VRT",)
_POINTING = {
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
"""Drivers of formats that name places where pixels are; some of them fetch from there as soon as they are opened."""
_FILE_KEYS = {"OVERVIEW_FILE", "X_DATASET", "Y_DATASET", "RPC_DEM"}
"""Metadata that GDAL takes for names of files."""
_DEEPEST = 8
"""VRTs that lie in each other; GDAL follows them on the stack."""
_MOST_XML = 2**26
"""Bytes of a VRT; longer ones are not looked through."""
_ADDRESS = re.compile(r"(?:https?|ftp|s3|gs|az)://[^\s<>\"']+|/vsi[^\s<>\"']+")


def refuse_external(path: str) -> None:
    """Looks through everything that a scene names, before any of it is opened.

    Raises:
        SceneError: it names something outside of its folder; or it is missing or no raster.
    """
    file = local_file(path)
    if file is None:
        if path.lstrip().startswith("<") or re.match(r"vrt:/", path, re.IGNORECASE):
            raise _refusal(path, path)
        with quiet_gdal(), _opened(path) as dataset:
            _check_files(path, dataset, Path(dataset.files[0]).parent if dataset.files else Path(path))
    else:
        _check(path, file.absolute(), file.resolve().parent, set(), 0)


def _check(scene: str, file: Path, home: Path, seen: set[Path], depth: int) -> None:
    """Checks one file of a scene, and those that it names."""
    if file in seen:
        return
    seen.add(file)
    if depth > _DEEPEST:
        raise SceneError(f"{scene} has VRTs in VRTs more than {_DEEPEST} deep; flatten it with gdal_translate")
    root = _root(scene, file)
    if root is not None and _local_name(root.tag) != "vrtdataset":
        _check_service(scene, file, home)
        return
    if root is not None:
        for name, path in _named_in(root, file):
            if _speaks_to_gdal(path) or not Path(path).resolve().is_relative_to(home):
                raise _refusal(scene, name)
            if os.path.exists(path):  # what is missing only costs the tiles that would need it
                local_file(path)
                _check(scene, Path(path).absolute(), home, seen, depth + 1)
    with quiet_gdal(offline=True), _opened(str(file), scene, _VRT if root is not None else None) as dataset:
        _check_files(scene, dataset, home, Path(scene).absolute().parent)


def _check_service(scene: str, file: Path, home: Path) -> None:
    """Checks an XML file that is no VRT: the head of a product, whose parts lie beside it, or an address."""
    try:
        with quiet_gdal(offline=True), open_dataset(str(file), _self_contained()) as dataset:
            _check_files(scene, dataset, home, Path(scene).absolute().parent)
    except SceneError:
        address = _ADDRESS.search(file.read_text(encoding="utf-8", errors="replace"))
        raise _refusal(scene, address[0] if address else file.name) from None


def _check_files(scene: str, dataset: DatasetReader, *homes: Path) -> None:
    """Checks what a raster that holds pixels names beside them."""
    if overviews := dataset.tags(ns="OVERVIEWS").get("OVERVIEW_FILE"):
        raise _refusal(scene, overviews)
    for name in dataset.files:
        known = Path(name) if name.startswith("/vsi") else Path(name).resolve()
        if not any(known.is_relative_to(home) or Path(name).parent == home for home in homes):
            raise _refusal(scene, name)


def _opened(path: str, scene: str | None = None, drivers: tuple[str, ...] | None = None) -> DatasetReader:
    try:
        return open_dataset(path, drivers or _self_contained())
    except SceneError as error:
        scene = scene or path
        raise SceneError(
            f"cannot read {scene}: it is not a raster that GDAL knows, it is damaged, or it only says where pixels are "
            "(then --allow-external lets it); try gdalinfo"
        ) from error


@lru_cache(maxsize=1)
def _self_contained() -> tuple[str, ...]:
    with rasterio.Env() as env:
        return tuple(sorted(set(env.drivers()) - _POINTING))


def _root(scene: str, file: Path) -> ElementTree.Element | None:
    """The content of an XML file; None for all others.

    Raises:
        SceneError: it is not written well enough to be sure of what it names.
    """
    with file.open("rb") as stream:
        if not stream.read(1000).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
            return None
    if file.stat().st_size > _MOST_XML:
        raise SceneError(f"{scene} is too long to be looked through; use a scene that holds its pixels itself")
    try:
        return ElementTree.fromstring(file.read_bytes())
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise SceneError(f"cannot read {scene}: {file.name} is damaged ({error}); fetch it again") from error


def _named_in(root: ElementTree.Element, file: Path) -> Iterator[tuple[str, str]]:
    """Every file that a VRT names: as it is written, and as GDAL will look for it."""
    for element in root.iter():
        for name in _names(element):
            relative = any(
                key.lower() == "relativetovrt" and value.strip() != "0" for key, value in element.attrib.items()
            )
            yield name, str(file.resolve().parent / name) if relative and not _speaks_to_gdal(name) else name


def _names(element: ElementTree.Element) -> Iterator[str]:
    """Names of files in an element; GDAL does not mind whether something is an attribute or an element."""
    stated = [(_local_name(element.tag), element.text or ""), *element.attrib.items()]
    key = element.get("key") or element.get("name") or ""
    if key.upper() in _FILE_KEYS or "filename" in key.lower():
        stated.append(("filename", element.text or ""))
    for what, value in stated:
        if re.search(r"(filename|dataset|file)$", what.lower()) and value.strip():
            yield value.strip()


def _local_name(tag: str) -> str:
    return tag.rpartition("}")[2].lower()


def _speaks_to_gdal(name: str) -> bool:
    """Whether a name is one of those that GDAL reads as more than the name of a file."""
    return name.startswith(("/vsi", "\\\\", "<")) or (":" in name and not os.path.exists(name))


def _refusal(scene: str, name: str) -> SceneError:
    return SceneError(
        f"{scene} refers to {name}, which is not in its own folder; if you trust the scene, give --allow-external"
    )


_MOST_BLOCKS = 200_000
"""More blocks than this are looked at in steps, so that opening stays within about a second."""
_MOST_BANDS = 10_000
_LARGEST_BLOCK = 2**29
"""Bytes, decoded. GDAL decodes whole blocks, so one of a few kilobytes on disk could fill the memory."""


def refuse_unreadable(dataset: DatasetReader, path: str) -> None:
    """Looks at what the head of a raster promises.

    Raises:
        SceneError: it has no band or far too many, lost its end, or is stored in blocks that do not fit the memory.
    """
    if dataset.count == 0:
        if dataset.subdatasets:
            raise SceneError(f"{path} has no bands; it holds {', '.join(dataset.subdatasets[:4])}; name one of them")
        raise SceneError(f"{path} has no bands; use another file")
    if dataset.count > _MOST_BANDS:
        raise SceneError(f"{path} has {dataset.count:,} bands; choose some with gdal_translate -b")
    if missing := missing_bytes(dataset, path):
        raise SceneError(f"{path} is cut short: {missing} bytes are missing at its end; fetch the file again")
    if (largest := _largest_block(dataset)) > _LARGEST_BLOCK:
        raise SceneError(
            f"{path} is stored in blocks of {largest / 2**30:.1f} GiB; "
            "cut it into smaller ones with gdal_translate -co TILED=YES"
        )


def missing_bytes(dataset: DatasetReader, path: str) -> int:
    """Bytes that the block table of a local GeoTIFF promises beyond the end of the file; 0 for all other sources."""
    if dataset.driver != "GTiff" or not Path(path).is_file():
        return 0
    block_height, block_width = dataset.block_shapes[0]
    rows, cols = -(-dataset.height // block_height), -(-dataset.width // block_width)
    last_band = dataset.count
    promised = 0
    for block in range(0, rows * cols, max(1, rows * cols // _MOST_BLOCKS)):
        name = f"{block % cols}_{block // cols}"
        # Blocks that were never written have neither tag.
        offset = dataset.get_tag_item(f"BLOCK_OFFSET_{name}", "TIFF", bidx=last_band)
        size = dataset.get_tag_item(f"BLOCK_SIZE_{name}", "TIFF", bidx=last_band)
        if offset and size:
            promised = max(promised, int(offset) + int(size))
    return max(0, promised - Path(path).stat().st_size)


def _largest_block(dataset: DatasetReader) -> int:
    """Bytes of the largest block once it is decoded, with all bands that are stored in it."""
    sizes = [
        height * width * _item_size(dtype)
        for (height, width), dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True)
    ]
    together = str(dataset.interleaving).rpartition(".")[2] == "pixel"
    return sum(sizes) if together else max(sizes)


def _item_size(dtype: str) -> int:
    return 4 if dtype == "complex_int16" else np.dtype(dtype).itemsize
