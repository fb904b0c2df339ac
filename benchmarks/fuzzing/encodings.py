"""One image in the many ways in which files encode colours, some of which need more than reading bands.

    make ──▶ FOLDER/scene.*, plain.tif (the same in red, green and blue), kind.json

Both have to give the same pixels. Arrays are HxWx3, 8-bit, or HxW.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import ColorInterp

from benchmarks.fuzzing.verdicts import ACCEPTED, PARTLY, UNTRUE, Outcome

_CREATION: tuple[dict[str, Any], ...] = (
    {},
    {"compress": "deflate", "zlevel": 1},
    {"compress": "lzw", "predictor": 2},
    {"compress": "packbits", "interleave": "band"},
    {"tiled": True, "blockxsize": 32, "blockysize": 32, "interleave": "pixel"},
    {"bigtiff": "YES", "endianness": "BIG"},
    {"compress": "zstd", "interleave": "pixel"},
)
_LOSSY = 16
"""Most by which lossy compression changes a smooth image."""


@dataclass(frozen=True)
class Encoded:
    """What a file must show."""

    colours_HW3: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None = None
    tolerance: int = 1
    stretch: str = "auto"
    """How both files are read; two percentages where the encoded values have another range."""


def make(folder: Path, chance: random.Random) -> str:
    """Write an image; returns how it is encoded."""
    folder.mkdir(parents=True)
    kind = chance.choice(list(_KINDS))
    encoded = _KINDS[kind](folder / "scene", _image(chance), chance)
    _write(folder / "plain.tif", encoded.colours_HW3.transpose(2, 0, 1), photometric="RGB")
    if encoded.valid is not None:
        np.save(folder / "valid.npy", encoded.valid)
    expected = {"kind": kind, "tolerance": encoded.tolerance, "stretch": encoded.stretch}
    (folder / "kind.json").write_text(json.dumps(expected))
    return kind


def check(folder: Path) -> Outcome:
    """Read the encoded image and the plain one, and compare."""
    from rasterio.windows import Window

    from rsmoe_cli.raster.scene import open_scene, read_pixels

    expected = json.loads((folder / "kind.json").read_text())
    [path] = folder.glob("scene.*")
    images, masks = [], []
    for name in (path, folder / "plain.tif"):
        scene = open_scene(str(name), stretch=expected["stretch"], nodata="none")
        window = Window(0, 0, scene.width, scene.height)
        with scene.open() as dataset:
            images.append(read_pixels(dataset, scene, window).astype(int))
            masks.append(scene.mask.read(dataset, window))
        if name == path and any("doubtful" in note for note in scene.notes):
            return PARTLY, scene.notes[0]
    valid = np.load(folder / "valid.npy") if (folder / "valid.npy").exists() else masks[1]
    if not np.array_equal(masks[0], valid):
        return UNTRUE, f"{masks[0].sum()} valid pixels instead of {valid.sum()}"
    difference = np.abs(images[0] - images[1])[valid].max(initial=0)
    return (UNTRUE, f"colours differ by {difference}") if difference > expected["tolerance"] else (ACCEPTED, "")


def _image(chance: random.Random) -> NDArray[np.uint8]:
    """A smooth image with all levels from dark to bright."""
    height, width = chance.randint(40, 120), chance.randint(40, 120)
    y, x = np.mgrid[:height, :width] / max(height, width)
    phases = np.array([chance.uniform(0, 6) for _ in range(3)])
    waves = np.sin(chance.uniform(2, 5) * x[..., None] + phases) * np.cos(chance.uniform(2, 5) * y)[..., None]
    return np.rint(127.5 + 120 * waves / np.abs(waves).max()).astype(np.uint8)


def _write(path: Path, values_CHW: NDArray[Any], colours: str = "", names: tuple[str, ...] = (), **more: Any) -> None:
    count, height, width = values_CHW.shape
    profile = {"count": count, "height": height, "width": width, "dtype": values_CHW.dtype, **more}
    if profile.get("nbits") or values_CHW.dtype.kind == "f":
        profile.pop("predictor", None)
    place = {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 4_000_000)}
    with rasterio.open(path, "w", driver="GTiff", **place, **profile) as out:
        if colours:
            out.colorinterp = [ColorInterp[name] for name in colours.split()]
        for number, name in enumerate(names, start=1):
            out.set_band_description(number, name)
        out.write(values_CHW)


def _grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image[..., :1].repeat(3, axis=2))


def _rgb(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    _write(path.with_suffix(".tif"), image.transpose(2, 0, 1), photometric="RGB", **chance.choice(_CREATION))
    return Encoded(image)


def _white_is_zero(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    creation = chance.choice(_CREATION)
    _write(path.with_suffix(".tif"), 255 - image[None, ..., 0], photometric="MINISWHITE", **creation)
    return Encoded(_grey(image))


def _few_bits(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    """Grey of 1, 2 or 4 bits, of either photometric interpretation."""
    bits, photometric = chance.choice((1, 2, 4)), chance.choice(("MINISBLACK", "MINISWHITE"))
    levels = image[None, ..., 0] >> (8 - bits)
    stored = levels if photometric == "MINISBLACK" else 2**bits - 1 - levels
    creation = chance.choice(_CREATION)
    _write(path.with_suffix(".tif"), stored, photometric=photometric, nbits=bits, **creation)
    return Encoded(_grey(levels[0, ..., None] * (255 // (2**bits - 1))), stretch="0,100")


def _fax(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    Image.fromarray(image[..., 0] > 127).save(path.with_suffix(".tif"), compression="group4")
    return Encoded(_grey((image > 127) * np.uint8(255)), stretch="0,100")


def _palette(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    suffix = chance.choice((".tif", ".png", ".bmp", ".gif"))
    indexed = Image.fromarray(image).quantize(chance.choice((4, 16, 200)))
    indexed.save(path.with_suffix(suffix))
    return Encoded(np.asarray(indexed.convert("RGB")))


def _palette_of_16_bits(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    indexed = Image.fromarray(image).quantize(200)
    table = np.asarray(indexed.convert("RGB")).reshape(-1, 3)
    numbers = np.asarray(indexed).astype(np.uint16)
    colours = {int(number): (*map(int, table[at]), 255) for at, number in enumerate(numbers.ravel())}
    file = path.with_suffix(".tif")
    _write(file, numbers[None], photometric="palette", **chance.choice(_CREATION[:2]))
    with rasterio.open(file, "r+") as out:
        out.write_colormap(1, colours)
    return Encoded(np.asarray(indexed.convert("RGB")))


def _inks(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    """Cyan, magenta, yellow and some black."""
    suffix, black = chance.choice((".tif", ".jpg")), chance.choice((0, 60))
    inks = np.dstack([255 - image, np.full(image.shape[:2], black, np.uint8)])
    shown = np.rint(image * ((255 - black) / 255)).astype(np.uint8)
    if suffix == ".tif":
        _write(path.with_suffix(suffix), inks.transpose(2, 0, 1), photometric="CMYK", **chance.choice(_CREATION))
        return Encoded(shown, tolerance=2)
    Image.fromarray(inks, "CMYK").save(path.with_suffix(suffix), quality=98)
    return Encoded(shown, tolerance=_LOSSY)


def _luma(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    """YCbCr: in JPEG, in a TIFF with JPEG, and without compression."""
    form = chance.choice(("jpeg", "jpeg in tiff", "raw"))
    if form == "jpeg in tiff":
        options: dict[str, Any] = {
            "photometric": "YCBCR",
            "compress": "jpeg",
            "interleave": "pixel",
            "jpeg_quality": 95,
        }
        tiles: dict[str, Any] = chance.choice(({}, {"tiled": True, "blockxsize": 32, "blockysize": 32}))
        _write(path.with_suffix(".tif"), image.transpose(2, 0, 1), **options, **tiles)
    elif form == "jpeg":
        Image.fromarray(image).save(path.with_suffix(".jpg"), quality=95, progressive=chance.random() < 0.5)
    else:
        Image.fromarray(image).convert("YCbCr").save(path.with_suffix(".tif"), compression="tiff_deflate")
    return Encoded(image, tolerance=_LOSSY)


def _transparent(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    """A band or a palette with transparency."""
    suffix = chance.choice((".tif", ".png", ".webp", ".jp2"))
    valid = np.ones(image.shape[:2], bool)
    if chance.random() < 0.8:
        valid[: len(valid) // 3, chance.randint(0, 20) :] = False
    alpha = valid * np.uint8(255)
    if suffix == ".tif":
        colours = "red green blue alpha"
        stored = np.dstack([image, alpha]).transpose(2, 0, 1)
        _write(path.with_suffix(suffix), stored, colours, photometric="RGB", alpha="YES", **chance.choice(_CREATION))
    else:
        lossless: dict[str, dict[str, Any]] = {
            ".webp": {"lossless": True, "exact": True},
            ".jp2": {"irreversible": False},
        }
        Image.fromarray(np.dstack([image, alpha])).save(path.with_suffix(suffix), **lossless.get(suffix, {}))
    return Encoded(image, valid)


def _grey_with_alpha(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    valid = np.ones(image.shape[:2], bool)
    valid[:, : chance.randint(1, 30)] = False
    Image.fromarray(np.dstack([image[..., 0], valid * np.uint8(255)])).save(path.with_suffix(".png"))
    return Encoded(_grey(image), valid)


def _transparent_colour(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    """One colour of a palette that is transparent."""
    indexed = Image.fromarray(image).quantize(60)
    suffix, hidden = chance.choice((".png", ".gif")), chance.randrange(40)
    indexed.save(path.with_suffix(suffix), transparency=hidden)
    return Encoded(np.asarray(indexed.convert("RGB")), np.asarray(indexed) != hidden)


_SENSORS: tuple[tuple[tuple[str, ...], tuple[int, int, int]], ...] = (
    (("blue", "green", "red", "nir"), (2, 1, 0)),
    (("Blue", "Green", "Red", "NIR"), (2, 1, 0)),
    (("B02", "B03", "B04", "B08"), (2, 1, 0)),
    (("B2", "B3", "B4", "B8"), (2, 1, 0)),
    (("SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6"), (2, 1, 0)),
    (("coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"), (5, 3, 1)),
    (("Coastal", "Blue", "Green", "Yellow", "Red", "Red Edge", "NIR1", "NIR2"), (4, 2, 1)),
    (("nir", "red", "green", "blue"), (1, 2, 3)),
    (("b", "g", "r", "n"), (2, 1, 0)),
)
"""Names of bands, and the positions of red, green and blue."""


def _named(path: Path, image: NDArray[np.uint8], chance: random.Random) -> Encoded:
    """More bands than three, in another order, named; GDAL calls the first four red, green, blue and alpha, or not."""
    names, positions = chance.choice(_SENSORS)
    values = np.random.default_rng(chance.getrandbits(32)).integers(1, 255, (len(names), *image.shape[:2]), np.uint8)
    values[list(positions)] = image.transpose(2, 0, 1)
    dtype = chance.choice((np.uint8, np.uint16, np.float32))
    options = {"photometric": chance.choice(("RGB", "MINISBLACK"))}
    if len(names) == 4 and chance.random() < 0.5:
        options["alpha"] = "YES"
    scale = {np.uint16: 37, np.float32: 1 / 255}.get(dtype, 1)
    stored = (values * np.float64(scale)).astype(dtype)
    _write(path.with_suffix(".tif"), stored, names=names, **options, **chance.choice(_CREATION))
    return Encoded(image, stretch="2,98")


_KINDS: dict[str, Callable[[Path, NDArray[np.uint8], random.Random], Encoded]] = {
    "red, green, blue": _rgb,
    "white is zero": _white_is_zero,
    "few bits": _few_bits,
    "fax": _fax,
    "palette": _palette,
    "palette of 16 bits": _palette_of_16_bits,
    "cyan, magenta, yellow, black": _inks,
    "luma and chroma": _luma,
    "transparent": _transparent,
    "grey with alpha": _grey_with_alpha,
    "transparent colour": _transparent_colour,
    "named bands": _named,
}
