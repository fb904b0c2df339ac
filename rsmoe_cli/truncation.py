"""Finds TIFF files that lost their end, without decoding a pixel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_MOST_BLOCKS = 200_000
"""More blocks than this are looked at in steps, so that opening stays within about a second."""


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
