"""Checks the header of a raster: what is cut short, or stored in blocks that do not fit into memory, is refused here
instead of failing somewhere in the middle of a run.
"""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import dtype_bytes, open_dataset

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_MAX_BLOCKS = 200_000
"""Block table entries that are checked, evenly spaced if there are more, so that opening takes about a second."""
_MAX_SUBDATASETS, _MAX_NAMED = 20, 4
"""Rasters of a file with several that are compared, and that are named."""
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
            raise SceneError(f"{path} holds several rasters; name one of them: {_named(dataset, path)}")
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


def _named(dataset: DatasetReader, path: str) -> str:
    """The first rasters in a file that holds several, as they are written in a shell; those with most pixels first.

    Names that do not begin with the file's own are not opened: they could come from a sidecar of the file.
    """
    own = re.compile(rf'\w+:"?{re.escape(path if path.startswith("/vsi") else str(Path(path).absolute()))}"?(?::.*)?')
    sizes = {}
    for name in dataset.subdatasets[:_MAX_SUBDATASETS]:
        if own.fullmatch(name):
            with suppress(SceneError), open_dataset(path, (dataset.driver,), name) as part:
                sizes[name] = 0 if 1 in part.shape else part.width * part.height  # an axis is no raster
    names = sorted((name for name in sizes if sizes[name] > 0), key=lambda name: -sizes[name])
    return " or ".join(map(shlex.quote, names[:_MAX_NAMED])) or "gdalinfo lists them"


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
