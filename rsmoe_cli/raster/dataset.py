"""Opens raster files and reads their bands. No other module opens rasters.

quiet_gdal()                    GDAL's configuration around every read: no messages, retries and time limits
open_dataset(path)              ──▶ DatasetReader
read_bands, sample_bands        ──▶ pixel values of a window, or of pixels that represent the whole raster
file_signature, is_remote       what the files of a raster are, without reading pixels
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.env import ensure_env_with_credentials
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from rsmoe_cli.errors import SceneError

# A missing georeference is reported to the user once, as a note of the scene.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

NO_RASTER = "it is not a raster that GDAL knows, or it is damaged; try gdalinfo"
"""Why a raster cannot be opened, where GDAL says no more."""

Drivers = tuple[str, ...] | None
"""Names of the GDAL drivers that may open a file; None for all of them."""

_CACHE_BYTES = 128 * 2**20
"""Decoded blocks that GDAL caches, shared by all threads. Each block is needed twice in a row: for mask and colours."""
_SETTINGS: dict[str, object] = {
    "GDAL_CACHEMAX": _CACHE_BYTES,
    # GDAL itself retries when a server is busy or a connection breaks, after half a second and more.
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    # Give up on connections that are silent or endless, but not on slow ones.
    "GDAL_HTTP_CONNECTTIMEOUT": 15,
    "GDAL_HTTP_LOW_SPEED_TIME": 20,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1,
    "GDAL_HTTP_TIMEOUT": 600,
}
_NETWORK = re.compile(
    r"(?:^|[+/])(?:https?|ftp|s3|gs|az|adls|oss|swift|webhdfs|hdfs)://|^/vsi(?!zip|tar|gzip|7z|rar|mem)"
)
_SIDECARS = (".aux.xml", ".ovr")
"""Files that viewers leave next to a raster; they do not change its pixels."""
_STATUS = re.compile(r"HTTP (?:response code|error code)\s*:\s*([45]\d\d)")
"""The status of HTTP in GDAL's messages."""
_STATUS_NAMES = {401: " (unauthorized)", 403: " (forbidden)", 404: " (not found)", 410: " (gone)"}
_CONNECTION = re.compile(r"CURL error|AWS_|AZURE_|GS_|OSS_|credential|timed out", re.IGNORECASE)
"""Words of GDAL's messages about connections and credentials."""
_HDF = {b"\x0e\x03\x13\x01": "HDF 4", b"\x89HDF": "HDF 5"}
"""First bytes of a file → its format, for which GDAL may have been built without a driver."""
_ARCHIVED_FILE = re.compile(r"^/vsi(?:zip|tar)/(.+?\.(?:zip|tar))/.*", re.IGNORECASE)
"""A file in an archive; the group is the archive."""
_RASTER_IN_FILE = re.compile(r'^(?:netcdf|HDF5):"?(/.+?)"?:(?://)?[^:]*$', re.IGNORECASE)
"""GDAL's name of a raster in a file; the group is the file."""
_SAMPLE_SIDE = 1024
"""Longest side of the decimated raster that is read as a sample, in pixels."""
_LARGE = 2**26
"""Pixels of a raster without overviews beyond which the sample consists of patches."""
_PATCHES = 8
"""Patches along each side of such a raster."""
_PATCH_SIDE = 128
"""Side of a patch, in pixels."""

# rasterio.open accepts a single driver only.
_open_by_drivers = ensure_env_with_credentials(DatasetReader)


def gdal_settings() -> dict[str, object]:
    """GDAL's configuration options around every read, except those that the user's environment sets."""
    return {name: value for name, value in _SETTINGS.items() if name not in os.environ}


def quiet_gdal(*, offline: bool = False) -> rasterio.Env:
    """A context in which GDAL prints nothing to the terminal; each thread needs its own, around every read.

    Python code in a VRT is never run, whatever the environment says. `offline` keeps GDAL from fetching anything.
    """
    options = {**gdal_settings(), "GDAL_VRT_ENABLE_PYTHON": "NO"}
    if offline:
        options["CPL_VSIL_CURL_ALLOWED_FILENAME"] = "none"  # no file has that name, so nothing may be fetched
    return rasterio.Env(**options)


def open_dataset(path: str, drivers: Drivers = None, source: str | None = None) -> DatasetReader:
    """Opens a raster. Use the dataset from one thread at a time, and close it.

    `source` is the name under which GDAL opens it, where that is not the path.

    Raises:
        SceneError: the file is missing, or is not a raster that these drivers can read.
    """
    file = local_file(path) if source is None else None
    try:
        # GDAL would take a relative path such as "WMS:a.tif" for one of its prefixes.
        name = source or (path if file is None else str(file.absolute()))
        return rasterio.open(name) if drivers is None else _open_by_drivers(name, driver=list(drivers))
    except Exception as error:  # rasterio and GDAL raise nearly anything for a damaged file
        raise SceneError(f"cannot read {path}: {_reason(path, error)}") from error


def _reason(path: str, error: Exception) -> str:
    """Why GDAL could not open a raster, and what to do."""
    text = first_line(error)
    if status := _STATUS.search(text):
        code = int(status[1])
        remedy = "check the address, and your access to it" if code < 500 else "try again later"
        return f"the server answers HTTP {code}{_STATUS_NAMES.get(code, '')}; {remedy}"
    if "Range downloading not supported" in text:
        return "the server does not send parts of files, as HTTP range requests ask for; download the file first"
    if _NETWORK.search(path) and _CONNECTION.search(text):
        return f"{text}; check the address, the network, and your access to it"
    with suppress(OSError, ValueError), open(path, "rb") as file:
        name = _HDF.get(file.read(4), "")
        with rasterio.Env() as env:
            if name and name.replace(" ", "") not in env.drivers():
                return f"it is {name}, which this GDAL cannot read; convert it with gdal_translate of another GDAL"
    return NO_RASTER


def local_file(path: str) -> Path | None:
    """The local file with that name; None for names that only GDAL understands: archives, the network.

    Raises:
        SceneError: there is no such file, or it is a folder or a device.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        if path.startswith("/vsi") or ":" in path:
            return None
        raise SceneError(f"there is no file {path}; check the name") from error
    if stat.S_ISDIR(mode):
        raise SceneError(f"{path} is a folder that is no product; name one raster file in it")
    if not stat.S_ISREG(mode):
        raise SceneError(f"{path} is not an ordinary file; name a raster file")
    return Path(path)


def is_remote(dataset: DatasetReader, path: str) -> bool:
    """Whether a raster that was opened as `path` lies on a network, or is a VRT with sources that do."""
    names = [path, *dataset.files] if dataset.driver == "VRT" else [path]
    return any(_NETWORK.search(name) for name in names)


def file_signature(dataset: DatasetReader) -> str:
    """Size and time of a raster's local files, or size in pixels and position of a remote one.

    It changes when the raster changes, and is used to recognise a scene that was processed before.
    """
    names = [name for name in dataset.files if not name.lower().endswith(_SIDECARS)]
    files = dict.fromkeys(_RASTER_IN_FILE.sub(r"\1", _ARCHIVED_FILE.sub(r"\1", name)) for name in names)
    stats = [Path(name).stat() for name in files if Path(name).is_file()]
    if not stats:
        return f"{dataset.width} x {dataset.height} pixels at {tuple(dataset.transform)[:6]}"
    modified = datetime.fromtimestamp(max(file.st_mtime_ns for file in stats) / 1e9, UTC)
    return f"{sum(file.st_size for file in stats)} bytes of {modified.isoformat(timespec='microseconds')}"


def read_bands(dataset: DatasetReader, indexes: Sequence[int], **options: Any) -> NDArray[Any]:
    """CxHxW values of some bands, in a type that holds the values of all; `options` are those of rasterio's `read`.

    Raises:
        rasterio.errors.RasterioIOError: the pixels cannot be read.
    """
    types = {dataset.dtypes[index - 1] for index in indexes}
    with read_errors():
        if len(types) == 1:
            return dataset.read(list(indexes), **options)
        # rasterio reads only bands of the same type at once.
        shape = options.pop("out_shape", None)
        single = {"out_shape": (1, *shape[1:])} if shape is not None else {}
        return np.concatenate([dataset.read([index], **options, **single) for index in indexes])


def sample_windows(dataset: DatasetReader) -> list[tuple[Window, tuple[int, int]]]:
    """Windows that represent the whole raster, and the HxW shapes to read them in.

    This is the whole raster, decimated, using overviews if there are any. A large raster without overviews would have
    to be decoded in full for that, so it is represented by a regular grid of patches.
    """
    width, height = dataset.width, dataset.height
    if dataset.overviews(1) or width * height <= _LARGE:
        factor = max(1.0, max(width, height) / _SAMPLE_SIDE)
        return [(Window(0, 0, width, height), (max(1, round(height / factor)), max(1, round(width / factor))))]
    return patch_windows(dataset, _PATCH_SIDE)


def patch_windows(dataset: DatasetReader, side: int) -> list[tuple[Window, tuple[int, int]]]:
    """A regular grid of patches with at most that side, as `sample_windows` gives them."""
    width, height = dataset.width, dataset.height
    patch_width, patch_height = min(side, width), min(side, height)
    lefts, tops = (
        np.linspace(0, extent, _PATCHES, dtype=int).tolist() for extent in (width - patch_width, height - patch_height)
    )
    shape = (patch_height, patch_width)
    return [(Window(left, top, patch_width, patch_height), shape) for top in tops for left in lefts]


def sample_bands(dataset: DatasetReader, indexes: Sequence[int]) -> NDArray[Any]:
    """CxN values of N pixels that represent the whole raster."""
    parts = [
        read_bands(dataset, indexes, window=window, out_shape=(len(indexes), *shape)).reshape(len(indexes), -1)
        for window, shape in sample_windows(dataset)
    ]
    return np.concatenate(parts, axis=1)


@contextmanager
def read_errors() -> Iterator[None]:
    """Turns the errors that rasterio and GDAL raise for damaged files, of nearly any type, into `RasterioIOError`."""
    try:
        yield
    except (RasterioError, OSError, MemoryError):
        raise
    except Exception as error:
        raise RasterioIOError(first_line(error)) from error


def dtype_bytes(dtype: str) -> int:
    """Bytes of a value of one of rasterio's pixel types, of which numpy lacks `complex_int16`."""
    return 4 if dtype == "complex_int16" else np.dtype(dtype).itemsize


def first_line(error: BaseException) -> str:
    """The first line of an error message; GDAL's own message where rasterio replaces it by a general one."""
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return text.splitlines()[0]
