"""A scene → its tiles, which of them are blank, and how large the output will be, from headers and a sample of pixels.

path ─plan_scene─▶ ScenePlan
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioIOError
from rasterio.windows import Window

from rsmoe_cli.option_groups import TilingOptions
from rsmoe_cli.pipeline.inputs import cut, open_input
from rsmoe_cli.raster.dataset import quiet_gdal, sample_windows
from rsmoe_cli.raster.scene import Scene, read_pixels
from rsmoe_cli.tiles.grid import Grid

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ScenePlan:
    """What is to be done with one scene."""

    scene: str
    width: int
    height: int
    metres_per_pixel: float | None
    crs: str | None
    bands: tuple[int, ...]
    """Their numbers in the file, as red, green and blue."""
    band_reason: str
    """Why these."""
    stretch: str
    tile_size: int
    """Pixels."""
    overlap: int
    """Pixels."""
    tiles: int
    blank_share: float
    """Share of the tiles without a valid pixel, 0-1."""
    blank_is_sampled: bool
    """Whether that share is of a sample of the scene: it is large and has no overviews."""
    notes: tuple[str, ...]
    """What the user should know, a sentence each."""

    @property
    def visible_tiles(self) -> int:
        """Tiles that get a caption, about."""
        return round(self.tiles * (1 - self.blank_share))


def plan_scene(path: str, tiling: TilingOptions, image_size: int) -> ScenePlan:
    """The plan for a scene, for a model with images of `image_size` pixels a side.

    Raises:
        SceneError: it cannot be read.
        UsageError: the options do not suit it.
    """
    scene = open_input(path, tiling)
    grid = cut(scene, tiling, image_size)
    share, is_sampled = _blank_share(scene, grid)
    crs = scene.georeference.crs
    return ScenePlan(
        scene=path,
        width=scene.width,
        height=scene.height,
        metres_per_pixel=scene.metres_per_pixel,
        crs=None if crs is None else crs.name,
        bands=scene.band_selection.indexes,
        band_reason=scene.band_selection.reason,
        stretch=str(scene.stretch),
        tile_size=grid.size,
        overlap=grid.overlap,
        tiles=len(grid),
        blank_share=share,
        blank_is_sampled=is_sampled,
        notes=scene.notes,
    )


def _blank_share(scene: Scene, grid: Grid) -> tuple[float, bool]:
    """Share of the tiles without a valid pixel, and whether it is of a sample."""
    with quiet_gdal(), scene.open() as dataset:
        windows = sample_windows(dataset)
        is_whole = len(windows) == 1
        blank = [_blank_in(dataset, scene, grid, window, shape, is_whole) for window, shape in windows]
    known = [share for share in blank if share is not None]
    return (sum(known) / len(known) if known else 0.0), not is_whole


def _blank_in(
    dataset: DatasetReader, scene: Scene, grid: Grid, window: Window, shape: tuple[int, int], is_whole: bool
) -> float | None:
    """Share of blank tiles in a window of the scene; None where it cannot be read."""
    try:
        masks = _masks(dataset, scene, window, shape)
    except RasterioIOError:
        return None
    parts = [np.stack([mask[rows, cols].any() for mask in masks]) for rows, cols in _parts(grid, shape, is_whole)]
    return float(np.mean([not part.all() for part in parts]))


def _masks(dataset: DatasetReader, scene: Scene, window: Window, shape: tuple[int, int]) -> list[Mask]:
    """Masks each of which has a true pixel in every tile that is not blank."""
    valid = scene.mask.read(dataset, window, shape)
    if not scene.may_be_unwritten:
        return [valid]
    image = read_pixels(dataset, scene, window, shape)
    return [valid & (image != colour).any(axis=-1) for colour in (0, 255)]


def _parts(grid: Grid, shape: tuple[int, int], is_whole: bool) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of each tile in a mask of the whole scene; of a window in full resolution, any such tiles."""
    if is_whole:
        down, across = shape[0] / grid.height, shape[1] / grid.width
        rows = [_slice(row * grid.step, grid.size, down) for row in range(grid.rows)]
        cols = [_slice(col * grid.step, grid.size, across) for col in range(grid.cols)]
    else:
        rows, cols = (
            [slice(start, start + grid.size) for start in range(0, max(1, extent - grid.size + 1), grid.size)]
            for extent in shape
        )
    return ((row, col) for row in rows for col in cols)


def _slice(start: int, size: int, scale: float) -> slice:
    first = math.floor(start * scale)
    return slice(first, max(first + 1, math.ceil((start + size) * scale)))
