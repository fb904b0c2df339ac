"""Opens raster files and reads their bands: the only place that opens, and GDAL's settings for it.

How GDAL is to behave on a network: what it tries again, when it gives up, and what it asks for.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.env import ensure_env_with_credentials
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader

from rsmoe_cli.errors import SceneError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

# A missing georeference is told to the user once, as a note of the scene.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


def quiet_gdal(*, offline: bool = False) -> rasterio.Env:
    """A context in which GDAL does not talk to the terminal; for the calling thread, around every read.

    Python code in a VRT is never run, whatever the environment says. `offline` keeps GDAL from fetching anything.
    """
    options = {**gdal_settings(), "GDAL_VRT_ENABLE_PYTHON": "NO"}
    if offline:
        options["CPL_VSIL_CURL_ALLOWED_FILENAME"] = "none"  # the one name that GDAL may fetch, and there is none
    return rasterio.Env(**options)


# rasterio.open takes one driver only.
_open_by = ensure_env_with_credentials(DatasetReader)


def open_dataset(path: str, drivers: Sequence[str] | None = None) -> DatasetReader:
    """Opens a raster by any of GDAL's drivers, or by one of `drivers`. Use it from one thread at a time, and close it.

    Raises:
        SceneError: the file is missing or is no raster that GDAL can read.
    """
    local = local_file(path)
    try:
        # By its whole name a file is never taken for one of the prefixes that GDAL knows, such as "WMS:".
        name = path if local is None else str(local.absolute())
        return rasterio.open(name) if drivers is None else _open_by(name, driver=list(drivers))
    except Exception as error:  # a damaged file can make rasterio and GDAL raise nearly anything
        raise SceneError(
            f"cannot read {path}: it is not a raster that GDAL knows, or it is damaged; try gdalinfo"
        ) from error


def local_file(path: str) -> Path | None:
    """The file that a plain local name means; None where GDAL is to make sense of the name: archives, the network.

    Raises:
        SceneError: there is no such file, or it is a folder or a device.
    """
    try:
        kind = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        if path.startswith("/vsi") or ":" in path:
            return None
        raise SceneError(f"there is no file {path}; check the name") from error
    if stat.S_ISDIR(kind):
        raise SceneError(f"{path} is a folder; name one raster file in it")
    if not stat.S_ISREG(kind):
        raise SceneError(f"{path} is no ordinary file; name a raster file")
    return Path(path)


def read_bands(dataset: DatasetReader, indexes: Sequence[int], **how: Any) -> NDArray[Any]:
    """CxHxW values of some bands, in a type that holds all of theirs; `how` is what rasterio's `read` takes.

    Raises:
        rasterio.errors.RasterioIOError: pixels that cannot be read.
    """
    types = {dataset.dtypes[index - 1] for index in indexes}
    with damaged_pixels():
        if len(types) == 1:
            return dataset.read(list(indexes), **how)
        shape = how.pop("out_shape", None)  # rasterio reads bands of one type only
        alone = {"out_shape": (1, *shape[1:])} if shape is not None else {}
        return np.concatenate([dataset.read([index], **how, **alone) for index in indexes])


@contextmanager
def damaged_pixels() -> Iterator[None]:
    """Around a read: a damaged file can make rasterio and GDAL raise nearly anything; here it is a RasterioIOError."""
    try:
        yield
    except (RasterioError, OSError, MemoryError):
        raise
    except Exception as error:
        raise RasterioIOError(first_line(error)) from error


def first_line(error: BaseException) -> str:
    """The message of an error as one line; GDAL's own reason where rasterio hides it behind a general one."""
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return text.splitlines()[0]


_CACHE_BYTES = 128 * 2**20
"""Decoded blocks that GDAL keeps, all readers together. Each block is asked for once, for its mask and its colours."""
_SETTINGS: dict[str, object] = {
    "GDAL_CACHEMAX": _CACHE_BYTES,
    # Busy servers and broken connections are tried again within GDAL, after half a second and more.
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    # A connection that falls silent is given up, and so is one that never ends; a slow one is not.
    "GDAL_HTTP_CONNECTTIMEOUT": 15,
    "GDAL_HTTP_LOW_SPEED_TIME": 20,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1,
    "GDAL_HTTP_TIMEOUT": 600,
}
_NETWORK = re.compile(
    r"(?:^|[+/])(?:https?|ftp|s3|gs|az|adls|oss|swift|webhdfs|hdfs)://|^/vsi(?!zip|tar|gzip|7z|rar|mem)"
)


def gdal_settings() -> dict[str, object]:
    """GDAL's configuration options around every read, less those that the user's environment sets."""
    return {name: value for name, value in _SETTINGS.items() if name not in os.environ}


def is_remote(dataset: DatasetReader, path: str) -> bool:
    """Whether a raster that was opened as `path` lies on a network, or is a VRT of any that do."""
    names = [path, *dataset.files] if dataset.driver == "VRT" else [path]
    return any(_NETWORK.search(name) for name in names)
