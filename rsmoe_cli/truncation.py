"""Finds rasters that cannot be read whole, or not piece by piece, without decoding a pixel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsmoe_cli.errors import SceneError

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

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
