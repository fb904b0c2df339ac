from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.data.colorize import Lenders, borrowed, is_grey
from rsmoe_core.errors import DataError

sides = st.integers(1, 30)


def _picture(height: int, width: int, seed: int, grey: bool = False) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.repeat(image[..., :1], 3, axis=2) if grey else image


def test_grey_is_told_from_a_single_pixel_of_colour() -> None:
    image = _picture(8, 9, 0, grey=True)
    assert is_grey(image)
    image[3, 4, 2] ^= 1
    assert not is_grey(image)


@given(height=sides, width=sides, other_height=sides, other_width=sides, seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_brightness_stays_and_the_same_seed_gives_the_same_colours(
    height: int, width: int, other_height: int, other_width: int, seed: int
) -> None:
    # Mid greys and pale colours, so that no colour lies outside of what red, green and blue can show.
    grey = _picture(height, width, seed, grey=True) // 4 + 96
    lender = _picture(other_height, other_width, seed + 1) // 4 + 96
    before = grey.copy(), lender.copy()
    first, second = (borrowed(grey, lender, np.random.default_rng(seed)) for _ in range(2))
    assert (first.shape, first.dtype) == (grey.shape, np.uint8)
    assert np.array_equal(first, second)
    assert np.array_equal(grey, before[0])
    assert np.array_equal(lender, before[1])
    brightness = np.asarray(Image.fromarray(first).convert("L")).astype(int)
    assert np.abs(brightness - grey[..., 0]).max() <= 2


def test_bright_and_dark_take_the_colours_of_bright_and_dark() -> None:
    grey = np.full((20, 20, 3), 60, np.uint8)
    grey[:, 10:] = 180
    lender = np.full((30, 30, 3), (20, 60, 20), np.uint8)  # dark green above, light sand below
    lender[15:] = (230, 200, 150)
    red, green, blue = borrowed(grey, lender, np.random.default_rng(0)).astype(int).transpose(2, 0, 1)
    assert (green - red)[:, :8].min() > 10
    assert (red - blue)[:, 12:].min() > 30


def test_rough_and_smooth_take_the_colours_of_rough_and_smooth() -> None:
    chequered = np.indices((24, 48)).sum(axis=0) % 2 * 60 + 90
    chequered[:, 24:] = 120  # half rough, half smooth, of the same mean brightness
    grey = np.repeat(chequered[..., None], 3, axis=2).astype(np.uint8)
    lender = grey.copy()
    lender[:, :24, 2] -= 60  # what is rough is yellow
    lender[:, 24:, 0] -= 60  # what is smooth is cyan
    red, _, blue = borrowed(grey, lender, np.random.default_rng(0)).astype(int).transpose(2, 0, 1)
    assert (red - blue)[:, 2:20].mean() > 20
    assert (red - blue)[:, 28:46].mean() < -20


def _dataset(*scenes: str | None, split: str = "train") -> Dataset:
    return Dataset(Path(), tuple(Sample(Path(f"{scene}.jpg"), split, ("a .",), scene) for scene in scenes), ())


@pytest.mark.parametrize(
    ("scene", "expected"),
    [
        ("farmland", {"farmland"}),
        ("overpass", {"viaduct"}),
        ("port", {"port"}),
        ("golf course", {"park", "meadow"}),
        ("tennis court", {"farmland", "meadow", "park", "port", "viaduct", None}),
        (None, {"farmland", "meadow", "park", "port", "viaduct", None}),
    ],
)
def test_lenders_show_like_places_where_there_are_some(scene: str | None, expected: set[str | None]) -> None:
    lenders = Lenders(_dataset("farmland", "meadow", "park", "port", "viaduct", None))
    assert {lenders.choose(scene, np.random.default_rng(seed)).scene for seed in range(60)} == expected


def test_only_pictures_to_learn_from_lend() -> None:
    with pytest.raises(DataError, match="no picture in split 'train'"):
        Lenders(_dataset("park", split="test"))
