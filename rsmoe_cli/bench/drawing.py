"""Synthetic scenes of any size to measure on, drawn block by block in little memory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

_BANDS = ("blue", "green", "red", "nir")
_LAND_COVER = {
    -0.5: (900, 700, 420, 220),
    -0.3: (1100, 1000, 800, 500),
    -0.2: (1500, 1800, 2100, 2500),
    0.0: (700, 1000, 1000, 3200),
    0.6: (350, 600, 400, 2600),
    1.2: (900, 1100, 1500, 2200),
    2.0: (1800, 1900, 2000, 2300),
}
"""Height of the relief → reflectances in each band: deep sea, shallow sea, sand, meadow, forest, bare soil, town."""
_CELL = 40
"""Pixels between two points of the relief."""
_GRAIN_SIDE = 1024
"""Pixels after which the grain repeats."""
_EDGE = (0.45, 0.15)
"""Where the swath begins in the first and in the last row, as shares of the width; 30 % of the scene lie left of it."""


def big_scene(path: Path | str, side: int, seed: int = 0, **profile: Any) -> str:
    """Write a scene of `side` x `side` pixels that resembles Sentinel-2; returns its path as text.

    Coast, fields and towns in four 16-bit bands (blue, green, red, near infrared) with nodata 0 left of a slanting
    swath edge: 30 % of the pixels. Blocks of 512 pixels, deflate; `profile` overrides creation options, such as
    `tiled=False` for strips.
    """
    generator = np.random.default_rng(seed)
    relief, grain = _smooth(generator, -(-side // _CELL) + 1, 1.6), _smooth(generator, _GRAIN_SIDE, 1.0)
    layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "predictor": 2, "zlevel": 1}
    georeference = {"crs": "EPSG:32631", "transform": Affine(10, 0, 500_000, 0, -10, 4_900_000), "nodata": 0}
    shape = {"width": side, "height": side, "count": len(_BANDS), "dtype": "uint16"}
    options = {**shape, **georeference, **layout, "num_threads": "all_cpus", "bigtiff": "if_safer", **profile}
    with rasterio.open(path, "w", driver="GTiff", **options) as dataset:
        dataset.descriptions = _BANDS
        for _, window in dataset.block_windows(1):
            dataset.write(_draw(window, side, relief, grain), window=window)
    return str(path)


def _smooth(generator: np.random.Generator, side: int, steepness: float) -> NDArray[np.float32]:
    """SIDExSIDE noise with mean 0 and standard deviation 1 that tiles seamlessly; steeper noise is smoother."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(generator.standard_normal((side, side))) / frequency**steepness, (side, side))
    return (noise / noise.std()).astype(np.float32)


def _draw(window: Window, side: int, relief: NDArray[np.float32], grain: NDArray[np.float32]) -> NDArray[np.uint16]:
    """CxHxW values of a window of the scene."""
    rows = np.arange(window.row_off, window.row_off + window.height)
    cols = np.arange(window.col_off, window.col_off + window.width)
    box = cols[0] / _CELL, rows[0] / _CELL, (cols[-1] + 1) / _CELL, (rows[-1] + 1) / _CELL
    height = np.asarray(Image.fromarray(relief).resize((len(cols), len(rows)), Image.Resampling.BILINEAR, box))
    texture = grain[np.ix_(rows % _GRAIN_SIDE, cols % _GRAIN_SIDE)]
    height, light = height + texture / 16, np.maximum(1 + texture / 8, 0.2)
    reflectances = np.array(list(_LAND_COVER.values()), np.float32).T
    values = np.stack([np.interp(height, list(_LAND_COVER), band) * light for band in reflectances]).astype(np.uint16)
    first, last = _EDGE
    values[:, cols < side * (first + (last - first) * (rows[:, None] + 0.5) / side)] = 0
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--side", type=int, default=10980)
    arguments = parser.parse_args()
    print(big_scene(arguments.path, arguments.side))
