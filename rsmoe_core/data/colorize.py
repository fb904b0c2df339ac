"""Grey pictures in the colours of others, which show like places.

Every pixel keeps its brightness and takes its colour from pixels of the other picture that are as bright, as that
picture goes, and whose neighbours differ as much (Welsh, Ashikhmin and Mueller 2002,
https://doi.org/10.1145/566654.566576). Grass becomes as green as another place's grass; nobody knows how green it was.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsmoe_core.data.base import Dataset, Sample, read_image
from rsmoe_core.words.scene_classes import same_place

# Kinds of place that have the colours of others, for sets that lack them.
_RESEMBLES = {
    "chaparral": ("desert", "bare land"),
    "freeway": ("viaduct",),
    "golf course": ("park", "meadow"),
    "intersection": ("viaduct", "square", "medium residential area"),
    "mobile home park": ("medium residential area",),
    "tennis court": ("playground", "school"),
}
_NEIGHBOURHOOD = 5
"""Side of the square in which pixels are compared with their neighbours."""
_DRAWN = 1500
"""Pixels of the other picture that are looked at."""
_AGREEING = 8
"""Drawn pixels whose mean colour is taken."""
_BRIGHTNESSES = np.arange(2, 256, 4, dtype=np.float32)
_ROUGHNESSES = np.arange(1, 64, 4, dtype=np.float32)
"""Brightness and roughness (standard deviation among the neighbours) for which colours are sought; others have the
next one's."""
_ROUGHNESS_WEIGHT = np.float32(2)
"""How much a difference in roughness tells, beside one in brightness."""


class Lenders:
    """The pictures of `train` whose colours are borrowed. Raises DataError where there are none.

    A grey picture borrows those of a picture of its own kind of place or of kinds that look like it, or else of any.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._by_scene: dict[str | None, list[Sample]] = defaultdict(list)
        for sample in dataset.split("train"):
            self._by_scene[sample.scene_class].append(sample)

    def choose(self, scene: str | None, rng: np.random.Generator) -> Sample:
        """A picture of a like place."""
        like = _RESEMBLES.get(scene or "", ())
        alike: list[str | None] = [
            kind for kind in self._by_scene if scene and kind and (same_place(scene, kind) or kind in like)
        ]
        kinds = alike or list(self._by_scene)
        lenders = self._by_scene[kinds[rng.integers(len(kinds))]]
        return lenders[rng.integers(len(lenders))]

    def paint(self, image_HWC: NDArray[np.uint8], scene: str | None, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A grey picture in colours of a like place, HxWx3 red-green-blue. Raises DataError as `read_image` does."""
        return borrowed(image_HWC, read_image(self.choose(scene, rng).image), rng)


def is_grey(image_HWC: NDArray[np.uint8]) -> bool:
    """Whether red, green and blue are the same everywhere."""
    return bool((image_HWC == image_HWC[..., :1]).all())


def borrowed(grey_HWC: NDArray[np.uint8], lender_HWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The first picture's brightness in colours of the second one; both HxWx3 red-green-blue, of any two sizes."""
    brightness_HW = grey_HWC[..., 0].astype(np.float32)
    lender = np.asarray(Image.fromarray(lender_HWC).convert("YCbCr"), np.float32)
    lent_HW = lender[..., 0]
    lent_HW = (lent_HW - lent_HW.mean()) / (lent_HW.std() + 1) * brightness_HW.std() + brightness_HW.mean()
    drawn_N = rng.integers(lent_HW.size, size=_DRAWN)
    table_BRC = _colours_by_look(
        lent_HW.ravel()[drawn_N], _roughness(lent_HW).ravel()[drawn_N], lender[..., 1:].reshape(-1, 2)[drawn_N]
    )
    rows_HW = _nearest(brightness_HW, _BRIGHTNESSES)
    columns_HW = _nearest(_roughness(brightness_HW), _ROUGHNESSES)
    chroma_HWC = _mean_around(table_BRC[rows_HW, columns_HW], 3)
    bands = np.dstack([brightness_HW, chroma_HWC]).round().astype(np.uint8).transpose(2, 0, 1)
    return np.asarray(Image.merge("YCbCr", [Image.fromarray(band_HW) for band_HW in bands]).convert("RGB"))


def _colours_by_look(
    brightness_N: NDArray[np.float32], roughness_N: NDArray[np.float32], colours_N2: NDArray[np.float32]
) -> NDArray[np.float32]:
    """For each brightness and roughness the mean colour of the drawn pixels that look most like it, BxRx2."""
    brighter_BN = _BRIGHTNESSES[:, None] - brightness_N
    rougher_RN = _ROUGHNESS_WEIGHT * (_ROUGHNESSES[:, None] - roughness_N)
    apart_BRN = brighter_BN[:, None] ** 2 + rougher_RN**2
    return colours_N2[np.argpartition(apart_BRN, _AGREEING, axis=-1)[..., :_AGREEING]].mean(axis=-2)


def _nearest(values_HW: NDArray[np.float32], steps: NDArray[np.float32]) -> NDArray[np.int_]:
    """Which of the even steps each value is nearest to."""
    return ((values_HW - steps[0]) / (steps[1] - steps[0])).round().astype(int).clip(0, len(steps) - 1)


def _roughness(values_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    mean_HW = _mean_around(values_HW, _NEIGHBOURHOOD)
    return np.sqrt((_mean_around(values_HW**2, _NEIGHBOURHOOD) - mean_HW**2).clip(min=0))


def _mean_around(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """The mean of the square around each pixel of HxW or HxWxC; beyond an edge the picture goes on as it ends there."""
    height, width = values.shape[:2]
    around = ((side // 2, side // 2),) * 2 + ((0, 0),) * (values.ndim - 2)
    padded = np.pad(values, around, mode="edge")
    total = np.zeros_like(values)
    for top in range(side):
        for left in range(side):
            total += padded[top : top + height, left : left + width]
    return total / np.float32(side**2)
