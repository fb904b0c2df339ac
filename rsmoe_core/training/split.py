"""Which pictures are kept from training, to choose the best epoch by: decided by names, so the same in every run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.base import Sample
from rsmoe_core.errors import TrainingError

_FEWEST = 2
"""Pictures held out at the least."""


def validation_split(samples: Sequence[Sample], share: float) -> NDArray[np.bool_]:
    """True where a picture's whole series is held out.

    Where the share of few series comes to next to nothing or to everything, the series of the smallest digest are held
    out; where all pictures are of one series, pictures are held out one by one. Raises TrainingError where there are
    too few even for that, or `share` is not between 0 and 1.
    """
    series = np.array([_digest(_series(sample)) for sample in samples])
    pictures = np.array([_digest(sample.image.name) for sample in samples])
    for chosen in (series < share, series <= _low(series), pictures <= max(_low(pictures), share)):
        if 0 < share < 1 and _FEWEST <= chosen.sum() < len(samples):
            return chosen
    raise TrainingError("too few pictures to hold some out; give more pictures or another --holdout")


def manner(samples: Sequence[Sample], chosen: NDArray[np.bool_]) -> str:
    """How pictures were held out, for people."""
    out, kept = ({_series(samples[i]) for i in np.flatnonzero(chosen == side).tolist()} for side in (True, False))
    return "one by one, since all are of one series" if out & kept else "by series"


def _series(sample: Sample) -> str:
    return sample.group or sample.image.stem


def _digest(name: str) -> float:
    """A number from 0 to 1 that looks like chance and is always the same for a name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF


def _low(digests: NDArray[np.float64]) -> float:
    """The digest up to which just enough pictures are held out."""
    return float(np.sort(digests)[:_FEWEST][-1])
