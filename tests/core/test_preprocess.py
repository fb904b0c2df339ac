import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsmoe_core.errors import ImageError
from rsmoe_core.model.vision.efficientnet_lite import NORMALISATION
from rsmoe_core.preprocess import Normalisation, fill_unobserved, normalise, to_pixels
from rsmoe_core.types import Request


def test_pixels_are_normalised_as_the_published_weights_expect():
    image = np.full((8, 8, 3), 127, np.uint8)
    image[..., 1] = 255
    pixels = to_pixels([Request(image)], 8, NORMALISATION)
    assert pixels.shape == (1, 3, 8, 8)
    assert pixels[0, :, 0, 0].tolist() == [0.0, 1.0, 0.0]


def test_each_channel_has_its_own_mean_and_standard_deviation():
    image = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    pixels = normalise(image, Normalisation((0.0, 1.0, 5.0), (1.0, 2.0, 3.0)))
    assert pixels.shape == (1, 3, 2, 4)
    assert pixels[0, :, 1, 2].tolist() == pytest.approx([18.0, 9.0, 5.0])


@pytest.mark.parametrize("bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_an_image_of_another_type_is_refused(bad):
    with pytest.raises(ImageError, match="HxWx3 uint8"):
        to_pixels([Request(bad)], 8, NORMALISATION)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ImageError, match="mask"):
        to_pixels([Request(np.zeros((4, 4, 3), np.uint8), np.ones((4, 5), bool))], 8, NORMALISATION)


@given(*[st.integers(1, 30)] * 4, *[st.integers(0, 29)] * 2)
def test_filling_keeps_observed_pixels_and_invents_no_colour(height, width, h, w, top, left):
    image = np.random.default_rng(0).integers(100, 120, (height, width, 3)).astype(np.uint8)
    valid = np.zeros((height, width), bool)
    valid[top : top + h, left : left + w] = True
    image[~valid] = 0  # what nodata often looks like
    filled = fill_unobserved(image, valid)
    assert filled.shape == image.shape
    assert (filled[valid] == image[valid]).all()
    if valid.any():
        assert filled.min() >= 100


def test_holes_take_the_mean_colour_of_the_observed_pixels():
    image = np.full((5, 5, 3), 80, np.uint8)
    valid = np.ones((5, 5), bool)
    image[2, 2], valid[2, 2] = 0, False
    assert (fill_unobserved(image, valid) == 80).all()
