"""Anti-aliased drawing in ground metres, and noise: the two means by which pixels are made."""

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from coastal.world import SIDE, Colour, Points

Plane = NDArray[np.floating]
"""One value per pixel (H, W), or an image (3, H, W) of red, green and blue, 0 to 255."""

OVERSAMPLE = 2
"""Shapes are drawn this many times finer than the image, then averaged."""


def noise(rng: np.random.Generator, size: int, *wavelengths: float, stretch: float = 1.0) -> Plane:
    """Smooth noise (size, size) of mean 0 and deviation 1: a sum of layers of the given wavelengths in metres.

    Each layer is as strong as its wavelength is long, to the power of a half. `stretch` draws it out from west to east.
    """
    total = np.zeros((size, size), np.float32)
    for wavelength in wavelengths:
        rows = min(size, int(SIDE / wavelength) + 3)
        columns = min(size, int(SIDE / wavelength / stretch) + 3)
        knots = Image.fromarray(rng.standard_normal((rows, columns), dtype=np.float32))
        total += np.asarray(knots.resize((size, size), Image.Resampling.BICUBIC)) * np.float32(wavelength**0.5)
    return (total - total.mean()) / total.std()


def mix(image: Plane, paint: Plane | Colour, share: Plane) -> None:
    """Lay paint, an image or one colour, over an image, in place, where and as far as `share` (H, W) says."""
    for band in range(3):
        image[band] += (paint[band] - image[band]) * share


def textured(colour: Colour, *variations: tuple[Plane, Colour | float]) -> Plane:
    """An image of one colour, to which each noise adds so many grey levels (or red, green and blue) per deviation."""
    paint = np.empty((3, *variations[0][0].shape), np.float32)
    for band in range(3):
        paint[band] = colour[band]
        for plane, strength in variations:
            paint[band] += plane * np.float32(strength if isinstance(strength, float | int) else strength[band])
    return paint


def blurred(image: Plane, sigma: float) -> Plane:
    """A plane or image, smoothed by a bell of so many pixels."""
    reach = int(np.ceil(2.5 * sigma))
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    bell /= bell.sum()
    for axis in (-2, -1):
        around = [(0, 0)] * image.ndim
        around[axis] = (reach, reach)
        padded, count = np.moveaxis(np.pad(image, around, mode="edge"), axis, 0), image.shape[axis]
        image = np.zeros_like(image)
        into = np.moveaxis(image, axis, 0)
        for start, weight in enumerate(bell.astype(np.float32)):
            into += weight * padded[start : start + count]
    return image


def stencil(shape: BaseGeometry, size: int) -> Plane:
    """How much of each pixel (size, size) a geometry covers, 0 to 1."""
    layer = Layer(size)
    layer.area(shape, (0, 0, 0))
    return layer.share()


class Layer:
    """A transparent sheet over the whole scene, drawn upon in ground metres."""

    def __init__(self, size: int) -> None:
        fine = (size * OVERSAMPLE, size * OVERSAMPLE)
        self.scale = size * OVERSAMPLE / SIDE
        self._colour, self._alpha = Image.new("RGB", fine), Image.new("L", fine)
        self._pens = ImageDraw.Draw(self._colour), ImageDraw.Draw(self._alpha)

    def polygon(self, points: Points, colour: Colour) -> None:
        """Fill a ring of points (n, 2)."""
        ring = (np.asarray(points) * self.scale - 0.5).ravel().tolist()
        self._pens[0].polygon(ring, fill=whole(colour))
        self._pens[1].polygon(ring, fill=255)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle."""
        column, row, reach = x * self.scale - 0.5, y * self.scale - 0.5, radius * self.scale
        bounds = (column - reach, row - reach, column + reach, row + reach)
        self._pens[0].ellipse(bounds, fill=whole(colour))
        self._pens[1].ellipse(bounds, fill=255)

    def stroke(self, points: Points, width: float, colour: Colour) -> None:
        """Draw a line of some width in metres, at least one fine pixel."""
        path = (np.asarray(points) * self.scale - 0.5).ravel().tolist()
        broad = max(1, round(width * self.scale))
        self._pens[0].line(path, fill=whole(colour), width=broad, joint="curve")
        self._pens[1].line(path, fill=255, width=broad, joint="curve")

    def area(self, shape: BaseGeometry, colour: Colour) -> None:
        """Fill a geometry of any number of polygons, sparing their holes."""
        parts = [part for part in shapely.get_parts(shape) if isinstance(part, Polygon)]
        for part in sorted(parts, key=lambda part: -part.area):
            self.polygon(shapely.get_coordinates(part.exterior), colour)
            for hole in part.interiors:
                self._rub_out(shapely.get_coordinates(hole))

    def share(self) -> Plane:
        """How much of each pixel (H, W) has been drawn upon, 0 to 1."""
        return np.asarray(self._alpha.reduce(OVERSAMPLE), dtype=np.float32) / 255

    def lay_on(self, image: Plane, strength: float = 1.0) -> None:
        """Lay the sheet over an image, in place."""
        # Undrawn paper is black, so the averaged colour is already multiplied by the share that was drawn.
        share = self.share()
        for band, colour in enumerate(self._colour.reduce(OVERSAMPLE).split()):
            image[band] += (np.asarray(colour, dtype=np.float32) - image[band] * share) * np.float32(strength)

    def _rub_out(self, points: Points) -> None:
        ring = (np.asarray(points) * self.scale - 0.5).ravel().tolist()
        for pen in self._pens:
            pen.polygon(ring, fill=0)


def whole(colour: Colour) -> tuple[int, int, int]:
    """A colour as whole numbers that fit a byte."""
    red, green, blue = colour
    return min(255, max(0, int(red))), min(255, max(0, int(green))), min(255, max(0, int(blue)))
