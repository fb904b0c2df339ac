"""Captions of annotated images → scores, with intervals and beside those of a trivial baseline. Free of torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.errors import DataError
from rsmoe_core.metrics.captions import score_captions
from rsmoe_core.metrics.uncertainty import interval_95, spearman
from rsmoe_core.types import Description

_MEANS = ("ROUGE-L", "CIDEr", "SPICE")
"""Metrics that are means over images, so that images can be resampled; BLEU is defined for the corpus only."""


@dataclass(frozen=True)
class CaptionEvaluation:
    """How well the images of one split were described."""

    images: int
    tokenizer: str
    scores: dict[str, float]
    """Metric → score of the fused captions."""
    interval_95: dict[str, tuple[float, float]]
    """Bootstrap over images (1,000 resamples, seed 0), for the metrics that are means over images."""
    baseline: dict[str, float]
    """The same scores for one caption given to every image: the most frequent one of the training split."""
    baseline_caption: str
    unique_captions: int
    """Number of different captions; a low one shows that the model repeats a few common captions."""
    theme_accuracy: float | None
    """Share of the images with an annotated scene class whose theme draft equals it; None if no image has one, or there
    are no theme drafts."""
    confidence_rank_correlation: float | None
    """Rank correlation (Spearman) of the captions' confidence with their CIDEr, -1 to 1; None where not every caption
    has a confidence, or where all are equal."""
    by_scene_class: dict[str, dict[str, float]]
    """Scene class → number of its images, theme accuracy, and the metrics that are means over images."""
    by_unique_references: dict[str, dict[str, float]]
    """Number of different reference captions of an image → number of such images, and the metrics that are means over
    images. Images with one repeated reference are all or nothing; several references make the score steadier."""
    cider: NDArray[np.float64] = field(repr=False, compare=False)
    """CIDEr of each image, in order."""


def evaluate_captions(
    dataset: Dataset,
    samples: Sequence[Sample],
    descriptions: Sequence[Description],
    tokenizer: str = "simple",
    spice: bool = False,
) -> CaptionEvaluation:
    """Score the description of each sample against its annotations.

    Raises:
        DataError: there are fewer than two samples.
        UsageError: a metric cannot be computed here, see `score_captions`.
    """
    if len(samples) < 2:
        raise DataError("CIDEr weights words by their rarity over images; give at least two images")
    captions, references = [text.caption for text in descriptions], [sample.captions for sample in samples]
    scored = score_captions(captions, references, tokenizer, spice=spice)
    means = {name: scored.per_image[name] for name in _MEANS if name in scored.per_image}
    baseline_caption = _most_frequent_caption(dataset)
    baseline = score_captions([baseline_caption] * len(samples), references, tokenizer, spice=spice)
    theme_accuracy, by_class = _theme_accuracy(samples, descriptions)
    # Images without an annotated scene class are listed as `unknown`, where no theme is right.
    classes = [sample.scene_class or "unknown" for sample in samples]
    return CaptionEvaluation(
        images=len(samples),
        tokenizer=tokenizer,
        scores=scored.corpus,
        interval_95={name: interval_95(values) for name, values in means.items()},
        baseline=baseline.corpus,
        baseline_caption=baseline_caption,
        unique_captions=len(set(captions)),
        theme_accuracy=theme_accuracy,
        confidence_rank_correlation=_rank_correlation(descriptions, means["CIDEr"]),
        by_scene_class=_means_by(classes, {**by_class, **means}),
        by_unique_references=_means_by([str(len(sample.unique_captions)) for sample in samples], means),
        cider=means["CIDEr"],
    )


def _theme_accuracy(
    samples: Sequence[Sample], descriptions: Sequence[Description]
) -> tuple[float | None, dict[str, NDArray[np.bool_]]]:
    """Share of right theme drafts, and under `theme_accuracy` which are right; None and nothing without any draft."""
    themes = [description.draft("theme") for description in descriptions]
    if not any(themes):
        return None, {}
    annotated = np.array([sample.scene_class is not None for sample in samples])
    right = np.array([sample.scene_class == theme for sample, theme in zip(samples, themes, strict=True)])
    return float(right[annotated].mean()) if annotated.any() else None, {"theme_accuracy": right}


def _rank_correlation(descriptions: Sequence[Description], cider: NDArray[np.float64]) -> float | None:
    confidences = [text.confidence for text in descriptions if text.confidence is not None]
    return spearman(confidences, cider) if len(confidences) == len(descriptions) else None


def _means_by(groups: Sequence[str], per_image: Mapping[str, NDArray]) -> dict[str, dict[str, float]]:
    """Group → number of its images, and the mean of each figure over them."""
    group_N = np.array(groups)
    return {
        group: {"images": int((group_N == group).sum())}
        | {name: float(values[group_N == group].mean()) for name, values in per_image.items()}
        for group in sorted(set(groups))
    }


def _most_frequent_caption(dataset: Dataset) -> str:
    train = [s for s in dataset.samples if s.split == "train" and s.captions] or dataset.samples
    return Counter(caption for sample in train for caption in sample.captions).most_common(1)[0][0]
