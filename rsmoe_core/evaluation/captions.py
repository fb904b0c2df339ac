"""Engine + annotated pictures → scores, with an interval and a trivial baseline beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.base import Dataset, Sample, read_image
from rsmoe_core.errors import DataError
from rsmoe_core.inference.ablations import FULL_MODEL, Ablation
from rsmoe_core.metrics.calibration import spearman
from rsmoe_core.metrics.captions import score_captions
from rsmoe_core.metrics.intervals import interval_95
from rsmoe_core.types import Description, Request

if TYPE_CHECKING:  # scoring what is on disk already needs no torch
    from rsmoe_core.engine import Engine

# These are means over pictures and can be resampled; BLEU is one figure of the whole corpus.
_MEANS = ("ROUGE-L", "CIDEr", "SPICE")


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
    unique_captions: int
    """How many different captions there are; few of them mean that the model says the usual thing."""
    theme_accuracy: float | None
    """Of the pictures with an annotated kind of place, the share whose theme draft is just that; None if none has, or
    if no theme was said."""
    confidence_order: float | None
    """How well the confidence puts the better captions first: its rank correlation (Spearman) with CIDEr, -1 to 1; None
    where not every caption has one, or where all are equal."""
    by_scene: dict[str, dict[str, float]]
    """Kind of place → number of its pictures, theme accuracy, and the metrics that are means over pictures."""
    by_agreement: dict[str, dict[str, float]]
    """Number of different sentences that a picture has → number of such pictures, and the metrics that are means over
    pictures. One sentence that is repeated is easy to hit or to miss; what several people agree on is neither."""
    cider: NDArray[np.float64] = field(repr=False, compare=False)
    """CIDEr of each picture, in order."""


def usable(dataset: Dataset, split: str, annotation: Literal["questions", "scene_class"]) -> tuple[Sample, ...]:
    """The samples of a split that have what is to be scored against. Raises DataError where there are none."""
    chosen = tuple(sample for sample in dataset.split(split) if getattr(sample, annotation))
    if not chosen:
        raise DataError(
            f"{dataset.root}: no picture in split '{split}' has a {annotation.removesuffix('s')}; "
            "choose another split or another data set"
        )
    return chosen


def describe_samples(
    engine: Engine,
    samples: Sequence[Sample],
    ablation_list: Sequence[Ablation] = (FULL_MODEL,),
    progress: Callable[[int], object] = lambda done: None,
) -> list[list[Description]]:
    """What each ablation of the engine says of each picture; `progress` gets the size of each finished batch."""
    described: list[list[Description]] = [[] for _ in ablation_list]
    for first in range(0, len(samples), engine.batch_size):
        batch = samples[first : first + engine.batch_size]
        more = engine.compare([Request(read_image(sample.image)) for sample in batch], ablation_list)
        for so_far, new in zip(described, more, strict=True):
            so_far += new
        progress(len(batch))
    return described


def score(
    dataset: Dataset,
    samples: Sequence[Sample],
    said: Sequence[Description],
    tokenizer: str = "simple",
    spice: bool = False,
) -> Evaluation:
    """Score what was said of each sample against its annotations. Raises DataError for fewer than two samples."""
    if len(samples) < 2:
        raise DataError("CIDEr weighs words by their spread over pictures; give at least two pictures")
    captions, references = [text.caption for text in said], [sample.captions for sample in samples]
    scored = score_captions(captions, references, tokenizer, spice=spice)
    means = {name: scored.per_image[name] for name in _MEANS if name in scored.per_image}
    commonest = _commonest_caption(dataset)
    baseline = score_captions([commonest] * len(samples), references, tokenizer, spice=spice)
    known = np.array([sample.scene_class is not None for sample in samples])
    right = np.array([sample.scene_class == text.theme for sample, text in zip(samples, said, strict=True)])
    has_themes = any(text.theme for text in said)
    # Pictures whose kind of place is not annotated stand under `unknown`, where no theme is right.
    scenes = [sample.scene_class or "unknown" for sample in samples]
    voices = [str(len(sample.unique_captions)) for sample in samples]
    return Evaluation(
        pictures=len(samples),
        tokenizer=tokenizer,
        scores=scored.corpus,
        interval_95={name: interval_95(values) for name, values in means.items()},
        baseline=baseline.corpus,
        baseline_caption=commonest,
        unique_captions=len(set(captions)),
        theme_accuracy=float(right[known].mean()) if has_themes and known.any() else None,
        confidence_order=_order([text.confidence for text in said], means["CIDEr"]),
        by_scene=_by(scenes, {"theme_accuracy": right, **means} if has_themes else means),
        by_agreement=_by(voices, means),
        cider=means["CIDEr"],
    )


def _order(confidence: Sequence[float], cider: NDArray[np.float64]) -> float | None:
    return None if np.isnan(confidence).any() else spearman(confidence, cider)


def _by(groups: Sequence[str], per_image: Mapping[str, NDArray]) -> dict[str, dict[str, float]]:
    """Group → number of its pictures, and the mean of each figure over them."""
    member = np.array(groups)
    return {
        group: {"pictures": int((member == group).sum())}
        | {name: float(values[member == group].mean()) for name, values in per_image.items()}
        for group in sorted(set(groups))
    }


def _commonest_caption(dataset: Dataset) -> str:
    known = [s for s in dataset.samples if s.split == "train" and s.captions] or dataset.samples
    return Counter(caption for sample in known for caption in sample.captions).most_common(1)[0][0]
