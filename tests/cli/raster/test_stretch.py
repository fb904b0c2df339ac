from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsmoe_cli.raster.stretch import NO_STRETCH, Stretch, fit_stretch, parse_stretch
from rsmoe_core.errors import UsageError


def test_percentiles_are_of_valid_pixels_only() -> None:
    values = np.arange(101, dtype=np.uint16).reshape(1, 101).repeat(3, axis=0)
    valid = np.ones(101, bool)
    assert fit_stretch(values, valid, (2, 98)).low == (2, 2, 2)
    valid[:51] = False
    fitted = fit_stretch(values, valid, (0, 100))
    assert (fitted.low[0], fitted.high[0]) == (51, 100)
    assert str(fitted) == "0-100 % of valid pixels: 51 to 100, 51 to 100, 51 to 100"


@given(dtype=st.sampled_from(["uint8", "uint16", "int16", "int32", "float32", "float64"]), seed=st.integers(0, 99))
def test_low_becomes_black_high_becomes_full_and_order_is_kept(dtype: str, seed: int) -> None:
    values = np.sort(np.random.default_rng(seed).integers(0, 255, 50)).astype(dtype).reshape(1, 1, 50)
    stretched = Stretch((20.0,), (200.0,)).apply(values)[0, 0].astype(int)
    flat = values[0, 0].astype(float)
    assert (stretched[flat <= 20] == 0).all()
    assert (stretched[flat >= 200] == 255).all()
    assert (np.diff(stretched) >= 0).all()
    assert np.abs(stretched - np.clip((flat - 20) / 180 * 255, 0, 255)).max() <= 0.5001


def test_nan_becomes_black_and_flat_bands_do_not_fail() -> None:
    values = np.array([[[np.nan, 1.0, np.inf]]])
    assert Stretch((0.0,), (2.0,)).apply(values).tolist() == [[[0, 128, 255]]]
    flat = fit_stretch(np.full((1, 4), 7), np.ones(4, bool), (2, 98))
    assert flat.apply(np.full((1, 2, 2), 7)).max() == 0
    assert fit_stretch(np.zeros((3, 4)), np.zeros(4, bool), (2, 98)).apply(np.zeros((3, 1, 1))).max() == 0


def test_as_stored_keeps_bytes_and_clips_others() -> None:
    assert NO_STRETCH.apply(np.array([[[0, 7, 255]]], np.uint8)).tolist() == [[[0, 7, 255]]]
    assert NO_STRETCH.apply(np.array([[[-5, 7, 300]]], np.int16)).tolist() == [[[0, 7, 255]]]


def test_texts() -> None:
    assert parse_stretch("auto", is_display_ready=True) is None
    assert parse_stretch("auto", is_display_ready=False) == (2, 98)
    assert parse_stretch("none", is_display_ready=False) is None
    assert parse_stretch("1,99.5", is_display_ready=True) == (1, 99.5)
    for text in ("loud", "98,2", "1,2,3", "-1,50", "nan,98"):
        with pytest.raises(UsageError, match="is not understood"):
            parse_stretch(text, is_display_ready=False)
