"""Scenes with fill that no file declares: collars, corners of turned rasters, -9999 and NaN, in any type.

    make ──▶ FOLDER/scene.tif, declared.tif (the same with a mask), valid.npy (which pixels are real)

No pixel of the fill may be valid, captioned or in the stretch, and no other pixel may be lost; or there is a warning.
Some scenes have no fill. Arrays are CxHxW or HxW.
"""

from __future__ import annotations

import json
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from benchmarks.fuzzing.command import TILE, caption, last_line, refusal
from benchmarks.fuzzing.verdicts import ACCEPTED, PARTIAL, PARTLY, UNTRUE, Outcome

_LOWEST = float(np.finfo(np.float32).min)
_FILLS: dict[str, tuple[tuple[float, ...], ...]] = {
    "uint8": ((0,), (0,), (255,), (255,), (1,), (254,), (128,), (0, 255), (255, 0, 255)),
    "uint16": ((0,), (0,), (65_535,), (1,), (0, 65_535)),
    "int16": ((0,), (-9_999,), (-32_768,), (32_767,), (-1,), (-9_999, 0)),
    "int32": ((0,), (-9_999,), (-(2**31),)),
    "float32": ((0,), (-9_999,), (_LOWEST,), (-1,), (1e20,), (-32_768,), (9.969209968386869e36,), (-9_999, _LOWEST)),
    "float64": ((0,), (-9_999,), (-1.7976931348623157e308,), (-99_999,)),
}
"""Type → fills: one value, one and another, or a colour."""
_RANGES: dict[str, tuple[tuple[float, float], ...]] = {
    "uint8": ((20, 235), (0, 255), (40, 120)),
    "uint16": ((300, 9_000), (40, 1_500), (2_000, 60_000)),
    "int16": ((150, 9_000), (20, 3_000)),
    "int32": ((150, 20_000),),
    "float32": ((0.02, 0.9), (150, 9_000), (12.5, 180.5)),
    "float64": ((0.02, 0.9), (270, 310)),
}
"""Type → lowest and highest value of the ground."""
_CREATION: tuple[dict[str, Any], ...] = (
    {},
    {"compress": "deflate"},
    {"tiled": True, "blockxsize": 64, "blockysize": 64},
    {"compress": "lzw", "predictor": 2},
)


def make(folder: Path, chance: random.Random) -> str:
    """Write a scene; returns what it is."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(chance.getrandbits(32))
    dtype = chance.choice(list(_FILLS))
    bands, height, width = chance.choice((1, 3, 3, 3, 4)), 4 * chance.randint(22, 65), 4 * chance.randint(22, 65)
    ground = chance.choice(list(_GROUNDS))
    low, high = chance.choice(_RANGES[dtype])
    values = low + (high - low) * _GROUNDS[ground](generator, bands, height, width)
    values = values.astype(dtype) if dtype.startswith("float") else np.rint(values).astype(dtype)
    shape = chance.choice(list(_SHAPES))
    valid = _SHAPES[shape](chance, height, width)
    fills = () if valid.all() else chance.choice(_FILLS[dtype])
    if len(fills) == 2 and min(half.sum() for half in np.array_split(~valid, 2, axis=1)) < 0.1 * valid.size:
        fills = fills[:1]  # a small part may be anything
    values = _filled(values, valid, fills, dtype, chance)
    if fills:  # ground that happens to have the value of the fill cannot be told from it
        valid &= ~_is_filled(values, fills)
    has_nan = dtype.startswith("float") and not valid.all() and chance.random() < 0.3
    if has_nan:
        holes = ~valid & (np.arange(width) < chance.randint(1, width))
        values[:, holes] = np.nan
    _write(folder, values, valid, chance.choice(_CREATION))
    words = [dtype, f"{bands} bands", ground, shape, *(f"{fill:g}" for fill in fills), *(["NaN"] if has_nan else [])]
    (folder / "scene.json").write_text(json.dumps(words))
    return " ".join(words)


def _filled(
    values: NDArray[Any], valid: NDArray[np.bool_], fills: tuple[float, ...], dtype: str, chance: random.Random
) -> NDArray[Any]:
    """The values with fill where they are not valid: a colour, or one value left and another one right of a column."""
    if not fills:
        return values
    if len(fills) == 3:
        colour = np.resize(np.array(fills), len(values))
        return np.where(valid, values, colour[:, None, None]).astype(dtype)
    left = np.arange(values.shape[2]) < (values.shape[2] + 1) // 2
    return np.where(valid, values, np.where(left, fills[0], fills[-1])).astype(dtype)


def _is_filled(values: NDArray[Any], fills: tuple[float, ...]) -> NDArray[np.bool_]:
    colours = [fills] if len(fills) == 3 else [(fill,) for fill in fills]
    arrays = [np.resize(np.array(colour), len(values)).astype(values.dtype)[:, None, None] for colour in colours]
    return np.any([(values == colour).all(axis=0) for colour in arrays], axis=0)


def _write(folder: Path, values: NDArray[Any], valid: NDArray[np.bool_], creation: dict[str, Any]) -> None:
    count, height, width = values.shape
    profile = {"count": count, "height": height, "width": width, "dtype": values.dtype, **creation}
    if values.dtype.kind == "f" and "predictor" in profile:
        profile["predictor"] = 3
    place = {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 4_000_000)}
    colours = {"photometric": "RGB"} if count == 3 else {}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        for name in ("scene.tif", "declared.tif"):
            with rasterio.open(folder / name, "w", driver="GTiff", **profile, **place, **colours) as out:
                out.write(values)
                if name == "declared.tif":
                    out.write_mask(valid)
    np.save(folder / "valid.npy", valid)


def check(folder: Path) -> Outcome:
    """Read the tiles of the scene and of its declared twin, and caption it."""
    from rsmoe_cli.raster.scene import open_scene

    valid = np.load(folder / "valid.npy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, about values near the limits of a type
        scene, declared = open_scene(str(folder / "scene.tif")), open_scene(str(folder / "declared.tif"), nodata="none")
    doubts = [note for note in scene.notes if "may be real" in note]
    if doubts:
        return PARTLY, doubts[0]
    for side in (TILE, TILE // 4):
        if fault := _difference(scene, declared, valid, side):
            return UNTRUE, f"{fault}; notes: {scene.notes}"
    return _captioned(folder, valid)


def _difference(scene: Any, declared: Any, valid: NDArray[np.bool_], side: int) -> str:
    """How the tiles of two scenes differ in images of that side; empty if they are alike."""
    from rsmoe_cli.tiles.grid import Grid
    from rsmoe_cli.tiles.image import TileImage
    from rsmoe_cli.tiles.reader import read_tiles

    grid, counted = Grid(scene.width, scene.height, TILE), 0
    for one, other in zip(read_tiles(scene, grid, side), read_tiles(declared, grid, side), strict=True):
        if not isinstance(one, TileImage) or not isinstance(other, TileImage):
            return f"a tile failed: {one if not isinstance(one, TileImage) else other}"
        counted += one.owned_valid_pixels
        if one.valid_pixels != other.valid_pixels or not np.array_equal(one.valid, other.valid):
            return f"tile {one.tile.id}: {one.valid_pixels} valid pixels instead of {other.valid_pixels}"
        shown = np.abs(one.pixels[one.valid].astype(int) - other.pixels[one.valid])
        if shown.max(initial=0) > 3:  # GDAL rounds otherwise
            return f"tile {one.tile.id} of {side} pixels: brightness differs by {shown.max()} in {(shown > 3).sum()}"
    if scene.stretch != declared.stretch:
        return f"stretch {scene.stretch} instead of {declared.stretch}"
    return "" if counted == valid.sum() else f"{counted} valid pixels instead of {valid.sum()}"


def _captioned(folder: Path, valid: NDArray[np.bool_]) -> Outcome:
    """Whether the command captions the tiles that have a real pixel, and no others."""
    out = folder / "out" / "map.geojson"
    shutil.rmtree(out.parent, ignore_errors=True)
    out.parent.mkdir()
    result = caption(folder / "scene.tif", out)
    if result.exit_code != 0:
        return refusal(result)
    if [left.name for left in out.parent.iterdir()] != [out.name]:
        return PARTIAL, last_line(result)
    rows = [feature["properties"] for feature in json.loads(out.read_text())["features"]]
    shares = {row["tile_id"]: row["valid_fraction"] for row in rows if row["caption"]}
    expected = _valid_shares(valid)
    if shares.keys() != expected.keys():
        return UNTRUE, f"captioned {sorted(shares)} instead of {sorted(expected)}"
    worst = max((abs(shares[tile] - expected[tile]) for tile in shares), default=0)
    return (UNTRUE, f"valid fractions are wrong by {worst}") if worst > 1e-3 else (ACCEPTED, "")


def _valid_shares(valid: NDArray[np.bool_]) -> dict[str, float]:
    """Tile → share of valid pixels, for tiles that have some."""
    from rsmoe_cli.tiles.grid import Grid

    parts = {
        tile.id: valid[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
        for tile in Grid(valid.shape[1], valid.shape[0], TILE)
    }
    return {tile: float(part.mean()) for tile, part in parts.items() if part.any()}


def _noise(generator: np.random.Generator, bands: int, height: int, width: int) -> NDArray[Any]:
    return generator.uniform(0, 1, (bands, height, width))


def _fields(generator: np.random.Generator, bands: int, height: int, width: int) -> NDArray[Any]:
    """Fields of one colour each, with texture."""
    side = int(generator.integers(6, 30))
    fields = generator.uniform(0.1, 0.9, (bands, height // side + 1, width // side + 1))
    coarse = fields.repeat(side, axis=1).repeat(side, axis=2)[:, :height, :width]
    return np.clip(coarse + generator.normal(0, 0.03, coarse.shape), 0, 1)


def _hills(generator: np.random.Generator, bands: int, height: int, width: int) -> NDArray[Any]:
    """Values that change gradually."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    phases = generator.uniform(0, 6, (bands, 1, 1))
    smooth = 0.5 + 0.45 * np.sin(generator.uniform(3, 15) * x + phases) * np.cos(generator.uniform(3, 15) * y)
    return np.clip(smooth + generator.normal(0, 0.01, smooth.shape), 0, 1)


def _coast(generator: np.random.Generator, bands: int, height: int, width: int) -> NDArray[Any]:
    """Fields, with dark water on one side."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    water = x + 0.1 * np.sin(9 * y) < generator.uniform(0.2, 0.6)
    dark = 0.08 + generator.normal(0, 0.015, (bands, height, width))
    return np.clip(np.where(water, dark, _fields(generator, bands, height, width)), 0.01, 1)


def _town(generator: np.random.Generator, bands: int, height: int, width: int) -> NDArray[Any]:
    """Flat roofs, some of them white, with black shadows."""
    values = _fields(generator, bands, height, width)
    for _ in range(40):
        row, col = generator.integers(0, height), generator.integers(0, width)
        sides = generator.integers(4, 16, 2)
        values[:, row : row + sides[0], col : col + sides[1]] = generator.uniform(0.3, 1.2, (bands, 1, 1))
        values[:, row : row + sides[0], col + sides[1] : col + sides[1] + 3] = generator.uniform(-0.1, 0.2)
    return np.clip(values, 0, 1)


_GROUNDS: dict[str, Callable[[np.random.Generator, int, int, int], NDArray[Any]]] = {
    "noise": _noise,
    "fields": _fields,
    "hills": _hills,
    "coast": _coast,
    "town": _town,
}
"""Kinds of ground, 0-1."""


def _whole(_: random.Random, height: int, width: int) -> NDArray[np.bool_]:
    return np.ones((height, width), bool)


def _framed(chance: random.Random, height: int, width: int) -> NDArray[np.bool_]:
    """Fill along one to four sides."""
    valid = _whole(chance, height, width)
    for side in chance.sample(range(4), chance.randint(1, 4)):
        view = np.rot90(valid, side)
        view[: max(8, int(len(view) * chance.uniform(0.1, 0.35)))] = False
    return valid


def _turned(chance: random.Random, height: int, width: int) -> NDArray[np.bool_]:
    """A turned rectangle, which touches all sides: fill in the four corners."""
    angle = np.radians(chance.uniform(8, 82))
    y, x = np.mgrid[:height, :width].astype(float) - np.array([height / 2, width / 2])[:, None, None]
    u, v = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    return (abs(u) < 0.36 * min(height, width)) & (abs(v) < 0.36 * max(height, width))


def _swath(chance: random.Random, height: int, width: int) -> NDArray[np.bool_]:
    """An oblique strip from the top to the bottom, as from an orbit."""
    y, x = np.mgrid[:height, :width]
    start = width * chance.uniform(0.05, 0.3)
    return abs(x - start - y * chance.uniform(0.1, 0.4) - width * 0.25) < width * chance.uniform(0.2, 0.3)


def _round(chance: random.Random, height: int, width: int) -> NDArray[np.bool_]:
    """What a clipping polygon leaves."""
    y, x = np.mgrid[:height, :width].astype(float) - np.array([height / 2, width / 2])[:, None, None]
    reach = 0.45 + 0.06 * np.sin(chance.randint(3, 9) * np.arctan2(y, x))
    return np.hypot(x / width, y / height) < reach


def _cut(chance: random.Random, height: int, width: int) -> NDArray[np.bool_]:
    """One corner cut off."""
    y, x = np.mgrid[:height, :width]
    return np.rot90(y / height + x / width, 2 * chance.randint(0, 1)) > chance.uniform(0.5, 1)


_SHAPES: dict[str, Callable[[random.Random, int, int], NDArray[np.bool_]]] = {
    "whole": _whole,
    "framed": _framed,
    "turned": _turned,
    "swath": _swath,
    "round": _round,
    "cut": _cut,
}
"""Which pixels are real."""
