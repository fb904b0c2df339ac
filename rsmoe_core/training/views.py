"""Samples → views to learn from: pictures read, resized and seen anew, several at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data import Sample, read_image
from rsmoe_core.data.augment import another_view, is_directional
from rsmoe_core.preprocess import resize

Chance = np.random.Generator | None
"""Where a random view comes from; None is the picture as it is."""


def make_views(samples: Sequence[Sample], size: int, chances: Sequence[Sequence[Chance]]) -> list[NDArray[np.uint8]]:
    """For each sample one view, `size` x `size` pixels, for each of its chances: all of the first sample's, and so on.

    Decoding and scaling leave Python's lock alone, so threads are enough. Raises DataError for a picture that cannot
    be read.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = threads.map(_views, samples, [size] * len(samples), chances)
        return [view for own in found for view in own]


def _views(sample: Sample, size: int, chances: Sequence[Chance]) -> list[NDArray[np.uint8]]:
    picture = resize(read_image(sample.image), size)
    may_turn = not is_directional(sample.captions)
    return [picture if rng is None else another_view(picture, rng, may_turn) for rng in chances]
