"""Opens raster files and reads their bands: the only place that opens, and GDAL's settings for it."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.env import ensure_env_with_credentials
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader

from rsmoe_cli.errors import SceneError
from rsmoe_cli.remote import gdal_settings

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
