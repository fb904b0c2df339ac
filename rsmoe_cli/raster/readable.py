"""Checks the header of a raster: what is cut short, or stored in blocks that do not fit into memory, is refused here
instead of failing somewhere in the middle of a run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import dtype_bytes
from rsmoe_cli.raster.subdatasets import named_rasters

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_MAX_BLOCKS = 200_000
"""Block table entries that are checked, evenly spaced if there are more, so that opening takes about a second."""
_MAX_BANDS = 10_000
_MAX_BLOCK_BYTES = 2**29
"""Decoded size of a block. GDAL decodes whole blocks, so a compressed one of a few kilobytes could fill the memory."""


def check_readable(dataset: DatasetReader, path: str) -> None:
    """Checks a raster's header.

    Raises:
        SceneError: it has no band or far too many, is cut short, or is stored in blocks that do not fit into memory.
    """
    if dataset.count == 0:
        if dataset.subdatasets:
            raise SceneError(f"{path} holds several rasters; name one of them: {named_rasters(dataset, path)}")
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
