from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.data.colourise import ReferenceImages, is_grey, transfer_colours
from rsmoe_core.errors import DataError

sides = st.integers(1, 30)


def _image(height: int, width: int, seed: int, grey: bool = False) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.repeat(image[..., :1], 3, axis=2) if grey else image


def test_a_single_coloured_pixel_is_not_grey() -> None:
    image = _image(8, 9, 0, grey=True)
    assert is_grey(image)
    image[3, 4, 2] ^= 1
    assert not is_grey(image)


@given(height=sides, width=sides, other_height=sides, other_width=sides, seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_brightness_stays_and_the_same_seed_gives_the_same_colours(
    height: int, width: int, other_height: int, other_width: int, seed: int
) -> None:
    # Mid greys and pale colours, so that no colour lies outside of what red, green and blue can show.
    grey = _image(height, width, seed, grey=True) // 4 + 96
    reference = _image(other_height, other_width, seed + 1) // 4 + 96
    before = grey.copy(), reference.copy()
    first, second = (transfer_colours(grey, reference, np.random.default_rng(seed)) for _ in range(2))
    assert (first.shape, first.dtype) == (grey.shape, np.uint8)
    assert np.array_equal(first, second)
    assert np.array_equal(grey, before[0])
    assert np.array_equal(reference, before[1])
    brightness = np.asarray(Image.fromarray(first).convert("L")).astype(int)
    assert np.abs(brightness - grey[..., 0]).max() <= 2


def test_bright_and_dark_take_the_colours_of_bright_and_dark() -> None:
    grey = np.full((20, 20, 3), 60, np.uint8)
    grey[:, 10:] = 180
    reference = np.full((30, 30, 3), (20, 60, 20), np.uint8)  # dark green above, light sand below
    reference[15:] = (230, 200, 150)
    red, green, blue = transfer_colours(grey, reference, np.random.default_rng(0)).astype(int).transpose(2, 0, 1)
    assert (green - red)[:, :8].min() > 10
    assert (red - blue)[:, 12:].min() > 30


def test_rough_and_smooth_take_the_colours_of_rough_and_smooth() -> None:
    chequered = np.indices((24, 48)).sum(axis=0) % 2 * 60 + 90
    chequered[:, 24:] = 120  # half rough, half smooth, of the same mean brightness
    grey = np.repeat(chequered[..., None], 3, axis=2).astype(np.uint8)
    reference = grey.copy()
    reference[:, :24, 2] -= 60  # what is rough is yellow
    reference[:, 24:, 0] -= 60  # what is smooth is cyan
    red, _, blue = transfer_colours(grey, reference, np.random.default_rng(0)).astype(int).transpose(2, 0, 1)
    assert (red - blue)[:, 2:20].mean() > 20
    assert (red - blue)[:, 28:46].mean() < -20


def _dataset(*classes: str | None, split: str = "train") -> Dataset:
    return Dataset(Path(), tuple(Sample(Path(f"{name}.jpg"), split, ("a .",), name) for name in classes), ())


@pytest.mark.parametrize(
    ("scene_class", "expected"),
    [
        ("farmland", {"farmland"}),
        ("overpass", {"viaduct"}),
        ("port", {"port"}),
        ("golf course", {"park", "meadow"}),
        ("tennis court", {"farmland", "meadow", "park", "port", "viaduct", None}),
        (None, {"farmland", "meadow", "park", "port", "viaduct", None}),
    ],
)
def test_references_have_the_same_or_a_similar_class_if_there_are_some(
    scene_class: str | None, expected: set[str | None]
) -> None:
    references = ReferenceImages(_dataset("farmland", "meadow", "park", "port", "viaduct", None))
    assert {references.choose(scene_class, np.random.default_rng(seed)).scene_class for seed in range(60)} == expected


def test_only_training_images_are_references() -> None:
    with pytest.raises(DataError, match="no image in split 'train'"):
        ReferenceImages(_dataset("park", split="test"))
