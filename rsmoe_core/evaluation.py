"""Engine + annotated pictures → scores, with an interval and a trivial baseline beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data import Dataset, Sample, read_image
from rsmoe_core.engine import Engine
from rsmoe_core.errors import DataError
from rsmoe_core.metrics.captions import score_captions
from rsmoe_core.types import Description, Request
from rsmoe_core.variants import WHOLE, Variant

_RESAMPLES = 1000
# CIDEr and ROUGE-L are means over pictures and can be resampled; BLEU is one figure of the whole corpus.
_WITH_INTERVAL = ("ROUGE-L", "CIDEr")


@dataclass(frozen=True)
class Evaluation:
    """How an engine did on one split."""

    pictures: int
    tokenizer: str
    scores: dict[str, float]
    """Metric → score of the fused captions."""
    interval_95: dict[str, tuple[float, float]]
    """Bootstrap over pictures (1,000 resamples, seed 0), for the metrics that are means over pictures."""
    baseline: dict[str, float]
    """The same scores for one sentence said of every picture: the commonest of the training split."""
    baseline_caption: str
    different_captions: int
    """How many different captions there are; few of them mean that the model says the usual thing."""
    theme_accuracy: float | None
    """Of the pictures with an annotated kind of place, the share whose theme draft is just that; None if none has."""
    by_scene: dict[str, dict[str, float]]
    """Kind of place → number of its pictures, theme accuracy, and the metrics that are means over pictures."""
    cider: NDArray[np.float64] = field(repr=False, compare=False)
    """CIDEr of each picture, in order."""


def describe_samples(
    engine: Engine,
    samples: Sequence[Sample],
    variants: Sequence[Variant] = (WHOLE,),
    progress: Callable[[int], object] = lambda done: None,
) -> list[list[Description]]:
    """What each variant of the engine says of each picture; `progress` gets the size of each finished batch."""
    described: list[list[Description]] = [[] for _ in variants]
    for first in range(0, len(samples), engine.batch_size):
        batch = samples[first : first + engine.batch_size]
        more = engine.compare([Request(read_image(sample.image)) for sample in batch], variants)
        for so_far, new in zip(described, more, strict=True):
            so_far += new
        progress(len(batch))
    return described


def score(
    dataset: Dataset, samples: Sequence[Sample], said: Sequence[Description], tokenizer: str = "simple"
) -> Evaluation:
    """Score what was said of each sample against its annotations. Raises DataError for fewer than two samples."""
    if len(samples) < 2:
        raise DataError("CIDEr weighs words by their spread over pictures; give at least two pictures")
    captions, references = [text.caption for text in said], [sample.captions for sample in samples]
    scored = score_captions(captions, references, tokenizer)
    commonest = _commonest_caption(dataset)
    baseline = score_captions([commonest] * len(samples), references, tokenizer)
    known = np.array([sample.scene is not None for sample in samples])
    right = np.array([sample.scene == text.theme for sample, text in zip(samples, said, strict=True)])
    return Evaluation(
        pictures=len(samples),
        tokenizer=tokenizer,
        scores=scored.corpus,
        interval_95={name: _interval(scored.per_image[name]) for name in _WITH_INTERVAL},
        baseline=baseline.corpus,
        baseline_caption=commonest,
        different_captions=len(set(captions)),
        theme_accuracy=float(right[known].mean()) if known.any() else None,
        by_scene=_by_scene(samples, scored.per_image, right),
        cider=scored.per_image["CIDEr"],
    )


def _by_scene(
    samples: Sequence[Sample], per_image: Mapping[str, NDArray[np.float64]], right: NDArray[np.bool_]
) -> dict[str, dict[str, float]]:
    """Pictures whose kind of place is not annotated stand under `unknown`, where no theme is right."""
    scenes = np.array([sample.scene or "unknown" for sample in samples])
    return {
        scene: {"pictures": int((scenes == scene).sum())}
        | {"theme_accuracy": float(right[scenes == scene].mean())}
        | {name: float(per_image[name][scenes == scene].mean()) for name in _WITH_INTERVAL}
        for scene in sorted(set(scenes.tolist()))
    }


def _commonest_caption(dataset: Dataset) -> str:
    known = [s for s in dataset.samples if s.split == "train" and s.captions] or dataset.samples
    return Counter(caption for sample in known for caption in sample.captions).most_common(1)[0][0]


def _interval(values: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
