"""The validation split: which images are held out of training to choose the best epoch by.

Names decide, so it is the same in every run. Images of one group were taken side by side, so a group is held out whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.base import Sample
from rsmoe_core.errors import TrainingError

_MIN_IMAGES = 2
"""Images in the validation split at least."""


def validation_split(samples: Sequence[Sample], share: float) -> NDArray[np.bool_]:
    """True for the images that are held out: about this share of the groups, chosen by a hash of their names.

    With few groups the share can come to next to nothing or to everything. Then the groups with the smallest hashes are
    held out; where all images are of one group, single images are.

    Raises:
        TrainingError: there are too few images, or `share` is not between 0 and 1.
    """
    groups = np.array([_hash(group_of(sample)) for sample in samples])
    images = np.array([_hash(sample.image.name) for sample in samples])
    for chosen in (groups < share, groups <= _smallest(groups), images <= max(_smallest(images), share)):
        if 0 < share < 1 and _MIN_IMAGES <= chosen.sum() < len(samples):
            return chosen
    raise TrainingError("too few images for a validation split; add images or give another --validation-split")


def split_description(samples: Sequence[Sample], held_out: NDArray[np.bool_]) -> str:
    """How images were held out, for people."""
    validation, training = (
        {group_of(samples[i]) for i in np.flatnonzero(held_out == side).tolist()} for side in (True, False)
    )
    return "one by one, since all are of one group" if validation & training else "by group"


def group_of(sample: Sample) -> str:
    """The group of an image; an image that belongs to none is a group of its own."""
    return sample.group or sample.image.stem


def _hash(name: str) -> float:
    """A number from 0 to 1, spread evenly over names and always the same for a name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF


def _smallest(hashes: NDArray[np.float64]) -> float:
    """The hash up to which just enough images are held out."""
    return float(np.sort(hashes)[:_MIN_IMAGES][-1])
