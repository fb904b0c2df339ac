"""Image files as viewers show them; values of more than 8 bits are stretched as the same file is as a scene."""

from __future__ import annotations

import random
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.fuzzing import mutants
from rsmoe_core.errors import DataError, ImageError
from rsmoe_core.images import as_array, read_image, read_size

RAMP = np.tile(np.linspace(0, 1, 64), (64, 1))
"""Dark on the left, bright on the right."""


def write(path: Path, *bands: NDArray, driver: str = "GTiff", **options: Any) -> Path:
    with rasterio.open(
        path, "w", driver=driver, count=len(bands), height=64, width=64, dtype=bands[0].dtype, **options
    ) as dataset:
        dataset.write(np.stack(bands))
    return path


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16", "RGB"])
def test_every_image_is_read_as_red_green_blue(tmp_path: Path, mode: str) -> None:
    values = np.full((5, 7), 200, np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(values)
    (image if mode == "I;16" else image.convert(mode)).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png")
    assert pixels.shape == (5, 7, 3)
    assert pixels.dtype == np.uint8
    assert read_size(tmp_path / "a.png") == (7, 5)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("not an image")
    for name in ("a.jpg", "missing.jpg"):
        with pytest.raises(DataError, match=f"{name}: cannot be read as an image"):
            read_image(tmp_path / name)
        with pytest.raises(DataError, match=f"{name}: cannot be read as an image"):
            read_size(tmp_path / name)


def png(path: Path, side: int) -> None:
    """An image with sides of `side` pixels whose file contains hardly any data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def test_an_image_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    png(tmp_path / "a.png", 100_000)
    for read in (read_image, read_size):
        with pytest.raises(DataError, match=r"a\.png: cannot be read as an image"):
            read(tmp_path / "a.png")
    png(tmp_path / "b.png", 10_000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        assert read_size(tmp_path / "b.png") == (10_000, 10_000)


def test_reading_an_image_starts_no_programs(tmp_path: Path) -> None:
    # Pillow would pass EPS to Ghostscript.
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match="cannot be read as an image"):
        read_image(tmp_path / "a.png")


def test_damaged_images_are_refused_or_read(tmp_path: Path) -> None:
    Image.effect_noise((40, 40), 50).convert("RGB").save(tmp_path / "whole.jpg", exif=bytes(200))
    Image.effect_noise((40, 40), 50).save(tmp_path / "whole.png")
    rng = random.Random(0)
    refused = 0
    for whole in ("whole.jpg", "whole.png"):
        for _ in range(100):
            (tmp_path / "a.png").write_bytes(mutants.mutant((tmp_path / whole).read_bytes(), rng))
            try:
                assert read_image(tmp_path / "a.png").ndim == 3
            except DataError as error:
                refused += "\n" not in str(error)
    assert 20 < refused < 200


DEEP: dict[str, tuple[NDArray, dict[str, Any]]] = {
    "u16": ((RAMP * 65_535).astype("uint16"), {}),
    "u12": ((RAMP * 4095).astype("uint16"), {}),
    "12 bits stored": ((RAMP * 4095).astype("uint16"), {"nbits": 12}),
    "big endian": ((RAMP * 4095).astype("uint16"), {"endianness": "BIG"}),
    "white is zero": ((4095 - RAMP * 4095).astype("uint16"), {"photometric": "MINISWHITE"}),
    "i8": ((RAMP * 200 - 100).astype("int8"), {}),
    "i16": ((RAMP * 4095 - 2000).astype("int16"), {}),
    "i32": ((RAMP * 4095).astype("int32"), {}),
    "u32": ((RAMP * 4e9).astype("uint32"), {}),
    "f32": (RAMP.astype("float32"), {}),
    "compressed": ((RAMP * 4095).astype("uint16"), {"compress": "deflate", "predictor": 2}),
    "png": ((RAMP * 4095).astype("uint16"), {"driver": "PNG"}),
}


@pytest.mark.parametrize("name", DEEP)
def test_more_than_8_bits_are_stretched(tmp_path: Path, name: str) -> None:
    values, options = DEEP[name]
    pixels = read_image(write(tmp_path / "a.tif", values, **options)).astype(int)
    expected = np.clip((RAMP - 0.02) / 0.96, 0, 1) * 255
    assert np.abs(pixels - expected[..., None]).max() <= 3
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_declared_nodata_and_nan_do_not_count(tmp_path: Path) -> None:
    values = RAMP.astype("float32")
    values[:20], values[20:30] = -9999, np.nan
    pixels = read_image(write(tmp_path / "a.tif", values, nodata=-9999))
    assert np.abs(pixels[30:].astype(int) - np.clip((RAMP[30:, :, None] - 0.02) / 0.96, 0, 1) * 255).max() <= 2
    assert set(pixels[:30].flat) <= {127, 128}, "the mean"
    write(tmp_path / "b.tif", np.full((64, 64), np.nan, "float32"))
    assert read_image(tmp_path / "b.tif").max() == 0


@pytest.mark.parametrize(("dtype", "fill"), [("float32", -9999), ("float32", -3.4028235e38), ("int16", -32768)])
def test_fill_that_no_tag_declares_does_not_count(tmp_path: Path, dtype: str, fill: float) -> None:
    values = (RAMP * (4095 if dtype == "int16" else 1)).astype(dtype)
    declared, undeclared = values.copy(), values.copy()
    declared[:20] = undeclared[:20] = fill
    write(tmp_path / "a.tif", undeclared)
    write(tmp_path / "b.tif", declared, nodata=fill)
    pixels = read_image(tmp_path / "a.tif")
    assert np.array_equal(pixels, read_image(tmp_path / "b.tif"))
    assert np.abs(pixels[20:].astype(int) - np.clip((RAMP[20:, :, None] - 0.02) / 0.96, 0, 1) * 255).max() <= 3


def test_what_the_engine_cannot_take_is_an_image_error(tmp_path: Path) -> None:
    deep = Image.open(write(tmp_path / "a.png", *[(RAMP * 4095).astype("uint16")] * 3, driver="PNG"))
    Image.effect_noise((64, 64), 90).save(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes()[:-300])
    images: list[Any] = [deep, Image.open(tmp_path / "b.jpg"), [[1]]]
    for image, reason in zip(images, ("it has 16 bits in each band", "cannot be read", "must be a path"), strict=True):
        with pytest.raises(ImageError, match=reason):
            as_array(image)


@pytest.mark.parametrize(
    ("driver", "bands"), [("PNG", 3), ("PNG", 4), ("PNG", 2), ("GTiff", 3)], ids=["RGB", "RGBA", "grey alpha", "TIFF"]
)
def test_colours_of_16_bits_are_reported(tmp_path: Path, driver: str, bands: int) -> None:
    """Pillow would drop the lower 8 bits, so 12 bits would be black."""
    options = {"photometric": "RGB"} if driver == "GTiff" else {}
    write(tmp_path / "a.tif", *[(RAMP * 4095).astype("uint16")] * bands, driver=driver, **options)
    for read in (read_image, read_size):
        with pytest.raises(DataError, match=r"a\.tif: .*16 bits in each band; convert it with 'gdal_translate"):
            read(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_photos_are_upright(tmp_path: Path, suffix: str, tag: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    image = Image.fromarray(np.arange(40 * 60 * 3, dtype="uint8").reshape(40, 60, 3))
    image.save(path := tmp_path / f"a.{suffix}", exif=exif)
    with Image.open(path) as stored:
        shown = ImageOps.exif_transpose(stored).convert("RGB")
    assert np.array_equal(read_image(path), np.asarray(shown))
    assert read_size(path) == shown.size


def test_a_deep_photo_is_upright_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    for name in ("a.png", "a.tif"):
        Image.fromarray((RAMP * 4095).astype("uint16")[::-1, ::-1].copy()).save(tmp_path / name, exif=exif)
        pixels = read_image(tmp_path / name)
        assert pixels[0, 0, 0] == 0
        assert pixels[0, -1, 0] == 255
