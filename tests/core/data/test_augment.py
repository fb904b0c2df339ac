from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsmoe_core.data.augment import SLIGHT, STRONG, another_view, is_directional, recoloured

sizes = st.integers(1, 40)


@pytest.mark.parametrize(
    "caption",
    [
        "a road is on the left of a river .",
        "trees are at the upper-right corner .",
        "a football field locate in southeast of the residential area .",
        "the northern part is bare .",
        "two vertical roads .",
    ],
)
def test_directions_are_noticed(caption: str) -> None:
    assert is_directional(["a road .", caption])


@pytest.mark.parametrize("caption", ["", "a bright road on the lefthanded-free topping .", "trees around a pond ."])
def test_other_words_are_not_directions(caption: str) -> None:
    assert not is_directional([caption])


@given(height=sizes, width=sizes, seed=st.integers(0, 2**32), may_turn=st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_same_seed_gives_the_same_view_of_the_same_size(height: int, width: int, seed: int, may_turn: bool) -> None:
    height, width = (height, height) if may_turn else (height, width)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = image.copy()
    first, second = (another_view(image, np.random.default_rng(seed), may_turn) for _ in range(2))
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert np.array_equal(image, before)


def test_only_images_that_may_be_rotated_are_rotated() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    image[:20] = 220
    sides: dict[bool, set[str]] = {True: set(), False: set()}
    for may_turn, found in sides.items():
        for seed in range(40):
            view = another_view(image, np.random.default_rng(seed), may_turn).astype(float).mean(axis=2)
            edges = {"top": view[:5], "bottom": view[-5:], "left": view[:, :5], "right": view[:, -5:]}
            found.add(max(edges, key=lambda side: edges[side].mean()))
    assert sides == {True: {"top", "bottom", "left", "right"}, False: {"top"}}


def test_slight_jitter_keeps_more_contrast() -> None:
    image = np.random.default_rng(0).integers(60, 200, (30, 30, 3), dtype=np.uint8)
    contrasts = {
        name: [recoloured(image, np.random.default_rng(seed), jitter).std() / image.std() for seed in range(200)]
        for name, jitter in (("slight", SLIGHT), ("strong", STRONG))
    }
    assert min(contrasts["strong"]) < 0.5 < min(contrasts["slight"])
    assert max(contrasts["strong"]) == pytest.approx(max(contrasts["slight"]), rel=0.05)
