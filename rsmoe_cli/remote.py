"""How GDAL is to behave on a network: what it tries again, when it gives up, and what it asks for."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

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
