"""Engine + annotated pictures → scores, with an interval and a trivial baseline beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rsmoe_core.data import Dataset, Sample, read_image
from rsmoe_core.engine import Engine
from rsmoe_core.errors import DataError
from rsmoe_core.metrics.captions import score_captions
from rsmoe_core.types import Description, Request

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


def describe_samples(
    engine: Engine, samples: Sequence[Sample], progress: Callable[[int], object] = lambda done: None
) -> list[Description]:
    """What the engine says of each picture; `progress` is called with the size of each finished batch."""
    described: list[Description] = []
    for first in range(0, len(samples), engine.batch_size):
        batch = samples[first : first + engine.batch_size]
        described += engine.describe([Request(read_image(sample.image)) for sample in batch])
        progress(len(batch))
    return described


def score(
    dataset: Dataset, samples: Sequence[Sample], captions: Sequence[str], tokenizer: str = "simple"
) -> Evaluation:
    """Score one caption for each sample against all sentences of the sample. Raises DataError for fewer than two."""
    if len(samples) < 2:
        raise DataError("CIDEr weighs words by their spread over pictures; give at least two pictures")
    references = [sample.captions for sample in samples]
    scored = score_captions(captions, references, tokenizer)
    commonest = _commonest_caption(dataset)
    baseline = score_captions([commonest] * len(samples), references, tokenizer)
    return Evaluation(
        pictures=len(samples),
        tokenizer=tokenizer,
        scores=scored.corpus,
        interval_95={name: _interval(scored.per_image[name]) for name in _WITH_INTERVAL},
        baseline=baseline.corpus,
        baseline_caption=commonest,
    )


def _commonest_caption(dataset: Dataset) -> str:
    known = [s for s in dataset.samples if s.split == "train"] or dataset.samples
    return Counter(caption for sample in known for caption in sample.captions).most_common(1)[0][0]


def _interval(values: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(_RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
