"""Images and masks → pixels_BCHW: fill unobserved pixels, resize, normalise.

Shapes: B images, C = 3 channels red-green-blue, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from rsmoe_core.errors import ImageError
from rsmoe_core.types import Request


@dataclass(frozen=True)
class Normalisation:
    """How an image encoder wants its pixels: (value - mean) / std for each channel, with values from 0 to 255."""

    mean: tuple[float, float, float]
    """Of red, green and blue."""
    std: tuple[float, float, float]
    """Of red, green and blue."""


def to_pixels(requests: Sequence[Request], size: int, normalisation: Normalisation) -> Tensor:
    """B requests with images of any size → pixels_BCHW in float32, H = W = `size`.

    Raises:
        ImageError: an image is not HxWx3 uint8, or a mask has another size than its image.
    """
    return normalise(np.stack([resize(filled_image(request), size) for request in requests]), normalisation)


def normalise(images_BHWC: NDArray[np.uint8], normalisation: Normalisation) -> Tensor:
    """uint8 images_BHWC of one size → normalised pixels_BCHW in float32."""
    mean_C, std_C = torch.tensor(normalisation.mean), torch.tensor(normalisation.std)
    return ((torch.from_numpy(images_BHWC).float() - mean_C) / std_C).permute(0, 3, 1, 2)


def resize(image_HWC: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """An image of any size stretched to `size` x `size` pixels, averaging where it shrinks."""
    if image_HWC.shape[:2] == (size, size):
        return image_HWC
    return np.asarray(Image.fromarray(image_HWC).resize((size, size), Image.Resampling.BICUBIC))


def filled_image(request: Request) -> NDArray[np.uint8]:
    """The request's image with unobserved pixels filled.

    Raises:
        ImageError: the image is not HxWx3 uint8, or the mask has another size.
    """
    image, valid = request.image, request.valid
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ImageError(f"an image must be HxWx3 uint8 with at least one pixel, not {image.shape} {image.dtype}")
    if valid is not None:
        if valid.shape != image.shape[:2]:
            raise ImageError(f"the mask is {valid.shape}, its image is {image.shape[:2]}: give them the same size")
        image = fill_unobserved(image, valid)
    return image


def fill_unobserved(image_HWC: NDArray[np.uint8], valid_HW: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Replace unobserved pixels, so that they neither look like an object nor change how the rest looks.

    The smallest rectangle around the valid pixels is mirrored outwards over the rest of the image (a thin strip of sea
    becomes sea, not a line in the void); invalid pixels inside that rectangle take the mean colour of the valid ones.
    """
    if valid_HW.all() or not valid_HW.any():
        return image_HWC
    rows, columns = np.flatnonzero(valid_HW.any(axis=1)), np.flatnonzero(valid_HW.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    mean_colour = image_HWC[valid_HW].mean(axis=0).round().astype(np.uint8)
    core = np.where(valid_HW[top:bottom, left:right, None], image_HWC[top:bottom, left:right], mean_colour)
    height, width = valid_HW.shape
    pads = ((top, height - bottom), (left, width - right), (0, 0))
    return np.pad(core, pads, mode="symmetric")
