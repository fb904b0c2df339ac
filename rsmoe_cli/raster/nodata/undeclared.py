"""Pixels that are no data although the file does not declare them: looked for once, when a scene is opened.

    mask by the file ──leave_out──▶ mask without fill, and what the user should know about it

Images of 8-bit colours need no sample of their pixels for a stretch. For them, the corners are read first, and the
sample only if a corner is constant. On a network, where every request takes time, only overviews are looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from rsmoe_cli.raster.dataset import read_bands, sample_windows
from rsmoe_cli.raster.nodata.fill import (
    Fill,
    find_collar,
    find_constant,
    find_far,
    find_hole,
    is_constant_corner,
    parse_nodata,
)
from rsmoe_cli.raster.nodata.masks import ValidMask

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_CORNER = 16
"""Longest side of a corner that has to be constant before a collar is looked for, in pixels."""
_CORNER_SHARE = 0.02
"""Longest side of a corner, as a share of the shorter side of the raster: collars of small rasters are narrow."""


def leave_out(
    dataset: DatasetReader,
    mask: ValidMask,
    nodata: str | None,
    is_remote: bool = False,
    palette: NDArray[np.uint8] | None = None,
) -> tuple[ValidMask, list[str]]:
    """The mask without values that are no data, and notes for the user.

    `nodata` names these values (see `parse_nodata`), instead of those that are found; None to look for them.
    `is_remote` says that pixels are fetched over a network. `palette` holds the Nx3 colours of values without order.

    Raises:
        UsageError: `nodata` is not understood.
        rasterio.errors.RasterioIOError: no corner can be read.
    """
    if nodata is not None:
        return mask.without(parse_nodata(nodata)), []
    fills = _find(dataset, mask, is_remote, palette)
    return mask.without((), [fill for fill in fills if fill.is_certain]), [fill.note for fill in fills]


def _find(dataset: DatasetReader, mask: ValidMask, is_remote: bool, palette: NDArray[np.uint8] | None) -> list[Fill]:
    bands = mask.value_bands
    is_bytes = {dataset.dtypes[band - 1] for band in bands} == {"uint8"}
    factor = max(dataset.overviews(bands[0]), default=1) if is_remote else 1
    if is_bytes and (
        (is_remote and factor == 1)
        or not any(is_constant_corner(corner) for corner in _corners(dataset, bands, factor))
    ):
        return []

    def values_of(window: Window, shape: tuple[int, int]) -> NDArray[Any]:
        return read_bands(dataset, bands, window=window, out_shape=(len(bands), *shape))

    try:
        values = _sample(dataset, values_of)
        valid = _sample(dataset, lambda window, shape: mask.read(dataset, window, shape))
    except RasterioIOError:  # a block is damaged: its tiles, or the stretch, will say so
        return []
    if palette is not None:
        return _find_colour(values[0], valid, palette)
    if constant := find_constant(values, valid):
        return [constant]
    fills = [] if is_bytes else find_far(values, valid)
    valid &= ~mask.without((), fills).is_undeclared(values)
    window, shape = sample_windows(dataset)[0]
    scale = shape[1] / window.width
    while (collar := find_collar(values, valid, scale)) is not None:
        fills.append(collar)
        if not collar.is_certain:
            break
        valid &= ~mask.without((), [collar]).is_undeclared(values, scale)
    if not is_bytes and (hole := find_hole(values, valid)) is not None:
        fills.append(hole)
    return fills


def _find_colour(values: NDArray[Any], valid: NDArray[np.bool_], palette: NDArray[np.uint8]) -> list[Fill]:
    """The collar of one colour, by the HxW values of a palette that have it."""
    colours = palette[np.clip(values, 0, len(palette) - 1)].transpose(2, 0, 1)
    if (collar := find_collar(colours, valid)) is None:
        return []
    drawn = values[valid & (colours == np.reshape(collar.values, (3, 1, 1))).all(axis=0)]
    return [
        Fill((float(value),), float((values == value).mean()), is_far=False, is_certain=collar.is_certain)
        for value in np.unique(drawn)
    ]


def _corners(dataset: DatasetReader, bands: tuple[int, ...], factor: int) -> list[NDArray[Any]]:
    """CxHxW values of the corners that can be read, from the overview with that factor.

    Raises:
        rasterio.errors.RasterioIOError: none can.
    """
    side = min(_CORNER * factor, max(1, round(_CORNER_SHARE * min(dataset.width, dataset.height))))
    shape = (len(bands), max(1, side // factor), max(1, side // factor))
    corners, errors = [], []
    for top in (0, dataset.height - side):
        for left in (0, dataset.width - side):
            try:
                corners.append(read_bands(dataset, bands, window=Window(left, top, side, side), out_shape=shape))
            except RasterioIOError as error:
                errors.append(error)
    if not corners:
        raise errors[0]
    return corners


def _sample(dataset: DatasetReader, read: Callable[[Window, tuple[int, int]], NDArray[Any]]) -> NDArray[Any]:
    """What `read` returns for the windows of the sample (...xHxW), side by side as they lie in the raster."""
    parts = [read(window, shape) for window, shape in sample_windows(dataset)]
    side = round(len(parts) ** 0.5)
    rows = [np.concatenate(parts[start : start + side], axis=-1) for start in range(0, len(parts), side)]
    return np.concatenate(rows, axis=-2)
