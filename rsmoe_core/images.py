"""Image files → HxWx3 uint8: as viewers show them, and stretched where they have more than 8 bits.

Pillow reads them. Its own conversion to 8 bits clips all values above 255, and a photo keeps the rows of its sensor,
whatever its EXIF tag says about which side is up.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsmoe_core.errors import DataError, ImageError
from rsmoe_core.fill import far_values, is_value

_IMAGE_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
# Pillow warns above one limit and refuses images above twice that limit. The warning is not needed for each image.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_STRETCH_PERCENT = (2.0, 98.0)
"""Percentiles that become black and white, as in scenes."""
_ORIENTATION, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT, _GDAL_NODATA = 274, 258, 262, 339, 42113
_PIXEL_SCALE, _MODEL_TRANSFORMATION = 33550, 34264
"""Tags of EXIF, TIFF and GeoTIFF."""
_SIGNED, _WHITE_IS_ZERO = 2, 0
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Orientation tag → how the stored image becomes upright."""

ImageLike = NDArray[np.uint8] | Image.Image | str | Path
"""An image in the forms that users have them."""


def listed(
    images: ImageLike | Sequence[ImageLike], valid: NDArray[np.bool_] | Sequence[NDArray[np.bool_]] | None
) -> tuple[Sequence[ImageLike], Sequence[NDArray[np.bool_] | None]]:
    """Images and masks as lists of the same length; one image may come without a list."""
    if isinstance(images, str | Path | Image.Image) or (isinstance(images, np.ndarray) and images.ndim < 4):
        images = [cast(ImageLike, images)]
        if isinstance(valid, np.ndarray) and valid.ndim < 3:
            valid = [valid]
    own = cast(Sequence[ImageLike], images)
    return own, [None] * len(own) if valid is None else list(valid)


def as_array(image: ImageLike) -> NDArray[np.uint8]:
    """An image as HxWx3, red-green-blue.

    Raises:
        DataError: a file cannot be read as an image.
        ImageError: it is neither the name of a file, nor an array, nor an image from Pillow, or such an image is
            damaged, or has 16 bits in each of several bands.
    """
    if isinstance(image, str | Path):
        return read_image(Path(image))
    if isinstance(image, np.ndarray):
        return image
    if not isinstance(image, Image.Image):
        raise ImageError(f"an image must be a path, a HxWx3 uint8 array or an image from Pillow, not {type(image)}")
    try:
        return to_rgb(image)
    except ImageError:
        raise
    except Exception as error:  # Pillow reads the pixels only now; a damaged image can make it raise nearly anything
        raise ImageError(f"the image cannot be read ({error})") from error


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image as HxWx3 uint8, red-green-blue, as viewers show it; more than 8 bits are stretched.

    Raises:
        DataError: it cannot be read.
    """
    with _opened(path) as image:
        return to_rgb(image)


def read_size(path: Path) -> tuple[int, int]:
    """Width and height of the image that `read_image` returns, in pixels, from the file's header.

    Raises:
        DataError: the file is not an image, or one that `read_image` cannot read.
    """
    with _opened(path) as image:
        _check_depth(image)
        width, height = image.size
        return (height, width) if _orientation(image) >= 5 else (width, height)


def is_north_up(path: Path) -> bool:
    """Whether rows run from north to south, and columns from west to east, within 45 degrees.

    False only for a GeoTIFF that says otherwise, by a matrix from columns and rows to ground coordinates (south-up or
    turned) or by a negative width of its pixels (mirrored).

    Raises:
        DataError: it cannot be read as an image.
    """
    with _opened(path) as image:
        tags = getattr(image, "tag_v2", {})
        matrix, scale = (tags.get(number, ()) for number in (_MODEL_TRANSFORMATION, _PIXEL_SCALE))
    if isinstance(matrix, tuple) and len(matrix) == 16:
        east, east_by_row, north_by_column, north = *matrix[:2], *matrix[4:6]
        return bool(east > abs(east_by_row) and -north > abs(north_by_column))
    return not (isinstance(scale, tuple) and scale and scale[0] < 0)


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """An image of any mode as HxWx3 uint8; turned and stretched as in `read_image`.

    Raises:
        ImageError: it has 16 bits in each of several bands, of which Pillow keeps 8.
    """
    _check_depth(image)
    turn = _TURNS.get(_orientation(image))
    values = _deep_values(image)
    if values is None:
        return np.asarray((image if turn is None else image.transpose(turn)).convert("RGB"))
    grey = Image.fromarray(_stretched(values, _nodata(image), _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO))
    return np.asarray((grey if turn is None else grey.transpose(turn)).convert("RGB"))


def _check_depth(image: Image.Image) -> None:
    parts = [part[3] for part in getattr(image, "tile", ())]
    layouts = [str(part[0] if isinstance(part, tuple) and part else part) for part in parts]
    if image.mode in ("RGB", "RGBA", "CMYK") and any(";16" in layout for layout in layouts):
        raise ImageError("it has 16 bits in each band; convert it with 'gdal_translate -ot Byte -scale'")


def _deep_values(image: Image.Image) -> NDArray[Any] | None:
    """HxW values of an image with a single band that does not hold 0 to 255; None for other images."""
    if image.mode == "L" and _tag(image, _SAMPLE_FORMAT) == _SIGNED:
        return np.asarray(image).view(np.int8)
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return None
    values = np.asarray(image)
    if image.mode == "I" and _tag(image, _BITS) == 32 and _tag(image, _SAMPLE_FORMAT) != _SIGNED:
        return values.view(np.uint32)  # Pillow has signed integers only
    return values


def _stretched(values_HW: NDArray[Any], nodata: float | None, is_inverted: bool) -> NDArray[np.uint8]:
    """Values of any type → 0-255, between two percentiles of the valid ones; others become the mean.

    Invalid are those that the file declares, that are not finite, or that lie far from all others.
    """
    real_HW = values_HW.astype(np.float64)
    valid_HW = np.isfinite(real_HW)
    if nodata is not None and np.isfinite(nodata):
        valid_HW &= values_HW != np.array(nodata).astype(values_HW.dtype)
    for value in far_values(real_HW[valid_HW]):
        valid_HW &= ~is_value(real_HW, value)
    if not valid_HW.any():
        return np.zeros(values_HW.shape, np.uint8)
    low, high = np.percentile(real_HW[valid_HW], _STRETCH_PERCENT)
    scaled_HW = ((real_HW - low) * (255 / (high - low if high > low else 1.0))).clip(0, 255)
    scaled_HW[~valid_HW] = scaled_HW[valid_HW].mean()
    bytes_HW = np.rint(scaled_HW).astype(np.uint8)
    return 255 - bytes_HW if is_inverted else bytes_HW


def _nodata(image: Image.Image) -> float | None:
    try:
        return float(str(_tag(image, _GDAL_NODATA)).strip("\0 "))
    except ValueError:
        return None


def _tag(image: Image.Image, number: int) -> object:
    """The first value of a tag of a TIFF; None if there is none."""
    value = getattr(image, "tag_v2", {}).get(number)
    return value[0] if isinstance(value, tuple) and value else value


def _orientation(image: Image.Image) -> int:
    """The orientation tag that Pillow does not apply itself; 1, upright, if there is none that makes sense."""
    if image.format == "TIFF":
        return 1  # turned by Pillow
    if image.format == "PNG" and not {"exif", "Raw profile type exif"}.intersection(image.info):
        return 1  # Pillow would decode the whole image to look for a tag behind its pixels
    try:
        tag = image.getexif().get(_ORIENTATION)
    except Exception:  # a damaged tag can make Pillow raise nearly anything; the pixels can be read all the same
        return 1
    return tag if isinstance(tag, int) and tag in _TURNS else 1


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image in one of the formats that Pillow decodes itself; for others it would start programs."""
    try:
        with Image.open(path, formats=_IMAGE_FORMATS) as image:
            yield image
    except Exception as error:  # a damaged image can make Pillow raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: cannot be read as an image ({reason}); remove or replace it") from error
