"""Colour transfer: grey images in the colours of reference images of similar scene classes.

Every pixel keeps its brightness and takes its colour from pixels of the reference image that are about as bright,
relative to their image, and whose neighbourhood varies about as much (Welsh, Ashikhmin and Mueller 2002,
https://doi.org/10.1145/566654.566576). Grass becomes as green as the grass of the reference; its true colour stays
unknown.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsmoe_core.data.base import Dataset, Sample, read_image
from rsmoe_core.words.scene_classes import same_scene_class

# Scene classes → classes with similar colours, for data sets that lack the former.
_SIMILAR = {
    "chaparral": ("desert", "bare land"),
    "freeway": ("viaduct",),
    "golf course": ("park", "meadow"),
    "intersection": ("viaduct", "square", "medium residential area"),
    "mobile home park": ("medium residential area",),
    "tennis court": ("playground", "school"),
}
_NEIGHBOURHOOD = 5
"""Side of the square in which a pixel's roughness is measured."""
_SAMPLED = 1500
"""Number of pixels sampled from the reference image."""
_NEAREST = 8
"""Number of sampled pixels whose mean colour is taken."""
_BRIGHTNESSES = np.arange(2, 256, 4, dtype=np.float32)
_ROUGHNESSES = np.arange(1, 64, 4, dtype=np.float32)
"""Brightness and roughness (standard deviation in the neighbourhood) for which colours are looked up; values in between
take the nearest one's colour."""
_ROUGHNESS_WEIGHT = np.float32(2)
"""Weight of a difference in roughness relative to one in brightness."""


class ReferenceImages:
    """The images of the split `train` of a coloured data set, to take colours from.

    A grey image takes those of an image of its own scene class or a similar one, or else of any.

    Raises:
        DataError: there are none.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._by_class: dict[str | None, list[Sample]] = defaultdict(list)
        for sample in dataset.split("train"):
            self._by_class[sample.scene_class].append(sample)

    def choose(self, scene_class: str | None, rng: np.random.Generator) -> Sample:
        """A random image of the same or a similar scene class."""
        similar = _SIMILAR.get(scene_class or "", ())
        candidates: list[str | None] = [
            other
            for other in self._by_class
            if scene_class and other and (same_scene_class(scene_class, other) or other in similar)
        ]
        classes = candidates or list(self._by_class)
        references = self._by_class[classes[rng.integers(len(classes))]]
        return references[rng.integers(len(references))]

    def colourise(
        self, image_HWC: NDArray[np.uint8], scene_class: str | None, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """A grey image in the colours of a chosen reference, HxWx3 red-green-blue.

        Raises:
            DataError: the reference cannot be read.
        """
        return transfer_colours(image_HWC, read_image(self.choose(scene_class, rng).image), rng)


def is_grey(image_HWC: NDArray[np.uint8]) -> bool:
    """Whether red, green and blue are the same everywhere."""
    return bool((image_HWC == image_HWC[..., :1]).all())


def transfer_colours(
    grey_HWC: NDArray[np.uint8], reference_HWC: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """The brightness of the first image in colours of the second; both HxWx3 red-green-blue, of any two sizes."""
    brightness_HW = grey_HWC[..., 0].astype(np.float32)
    reference = np.asarray(Image.fromarray(reference_HWC).convert("YCbCr"), np.float32)
    matched_HW = reference[..., 0]
    matched_HW = (matched_HW - matched_HW.mean()) / (matched_HW.std() + 1) * brightness_HW.std() + brightness_HW.mean()
    sampled_N = rng.integers(matched_HW.size, size=_SAMPLED)
    table_BRC = _colour_table(
        matched_HW.ravel()[sampled_N],
        _roughness(matched_HW).ravel()[sampled_N],
        reference[..., 1:].reshape(-1, 2)[sampled_N],
    )
    rows_HW = _nearest_step(brightness_HW, _BRIGHTNESSES)
    columns_HW = _nearest_step(_roughness(brightness_HW), _ROUGHNESSES)
    chroma_HWC = _mean_around(table_BRC[rows_HW, columns_HW], 3)
    bands = np.dstack([brightness_HW, chroma_HWC]).round().astype(np.uint8).transpose(2, 0, 1)
    return np.asarray(Image.merge("YCbCr", [Image.fromarray(band_HW) for band_HW in bands]).convert("RGB"))


def _colour_table(
    brightness_N: NDArray[np.float32], roughness_N: NDArray[np.float32], colours_N2: NDArray[np.float32]
) -> NDArray[np.float32]:
    """For each brightness and roughness the mean colour of the sampled pixels nearest to it, BxRx2."""
    brightness_BN = _BRIGHTNESSES[:, None] - brightness_N
    roughness_RN = _ROUGHNESS_WEIGHT * (_ROUGHNESSES[:, None] - roughness_N)
    distance_BRN = brightness_BN[:, None] ** 2 + roughness_RN**2
    return colours_N2[np.argpartition(distance_BRN, _NEAREST, axis=-1)[..., :_NEAREST]].mean(axis=-2)


def _nearest_step(values_HW: NDArray[np.float32], steps: NDArray[np.float32]) -> NDArray[np.int_]:
    """Index of the nearest of the equidistant steps to each value."""
    return ((values_HW - steps[0]) / (steps[1] - steps[0])).round().astype(int).clip(0, len(steps) - 1)


def _roughness(values_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    mean_HW = _mean_around(values_HW, _NEIGHBOURHOOD)
    return np.sqrt((_mean_around(values_HW**2, _NEIGHBOURHOOD) - mean_HW**2).clip(min=0))


def _mean_around(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """The mean of the square around each pixel of HxW or HxWxC; edge pixels are repeated beyond the edge."""
    height, width = values.shape[:2]
    padding = ((side // 2, side // 2),) * 2 + ((0, 0),) * (values.ndim - 2)
    padded = np.pad(values, padding, mode="edge")
    total = np.zeros_like(values)
    for top in range(side):
        for left in range(side):
            total += padded[top : top + height, left : left + width]
    return total / np.float32(side**2)
