"""Descriptions of images with an annotated scene class → how often the class was named, class by class. Free of torch.

For data sets with scene classes and no captions. A model that was never trained on a data set may use other names for
its classes; `rsmoe_core.words.scene_classes` defines which names are equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.metrics.uncertainty import interval_95
from rsmoe_core.types import Description
from rsmoe_core.words.scene_classes import accepted_names, mentions_scene_class, same_scene_class


@dataclass(frozen=True)
class SceneScore:
    """How often a scene class was named."""

    images: int
    theme: float | None
    """Share of its images whose theme draft is one of its names; None where there are no theme drafts."""
    caption: float
    """Share of its images whose caption contains one of its names."""


@dataclass(frozen=True)
class Mistake:
    """A scene class that was taken for another one."""

    scene_class: str
    prediction: str
    """The theme draft; empty where there is none."""
    images: int


@dataclass(frozen=True)
class SceneEvaluation:
    """How often the scene classes of one split were named."""

    overall: SceneScore
    interval_95: dict[str, tuple[float, float]]
    """`theme` and `caption` → bootstrap over images (1,000 resamples, seed 0)."""
    baseline: float
    """Share of the images that belong to the most frequent class of the training split."""
    baseline_class: str
    classes: dict[str, SceneScore]
    accepted_names: dict[str, tuple[str, ...]]
    """Scene class → the names that are right for it."""
    mistakes: tuple[Mistake, ...]
    """Wrong themes, most frequent first."""


def evaluate_scenes(
    dataset: Dataset, samples: Sequence[Sample], descriptions: Sequence[Description]
) -> SceneEvaluation:
    """Score the descriptions of samples that all have a scene class, of which there is at least one."""
    all_classes = sorted({sample.scene_class for sample in dataset.samples if sample.scene_class})
    truth = [sample.scene_class or "" for sample in samples]
    pairs = list(zip(truth, descriptions, strict=True))
    right = {"caption": np.array([mentions_scene_class(true, d.caption, all_classes) for true, d in pairs])}
    wrong: Counter[tuple[str, str]] = Counter()
    themes = [description.draft("theme") for description in descriptions]
    if any(themes):
        right["theme"] = np.array(
            [same_scene_class(true, theme.lower(), all_classes) for true, theme in zip(truth, themes, strict=True)]
        )
        wrong.update((true, theme) for true, theme, hit in zip(truth, themes, right["theme"], strict=True) if not hit)
    train = Counter(s.scene_class for s in dataset.samples if s.split == "train" and s.scene_class) or Counter(truth)
    most_frequent = train.most_common(1)[0][0]
    classes = sorted(set(truth))
    return SceneEvaluation(
        overall=_score(right, np.ones(len(samples), dtype=bool)),
        interval_95={name: interval_95(hits) for name, hits in right.items()},
        baseline=truth.count(most_frequent) / len(truth),
        baseline_class=most_frequent,
        classes={name: _score(right, np.array(truth) == name) for name in classes},
        accepted_names={name: tuple(sorted(accepted_names(name, all_classes))) for name in classes},
        mistakes=tuple(Mistake(true, theme, images) for (true, theme), images in wrong.most_common()),
    )


def _score(right: dict[str, NDArray[np.bool_]], chosen: NDArray[np.bool_]) -> SceneScore:
    theme = float(right["theme"][chosen].mean()) if "theme" in right else None
    return SceneScore(int(chosen.sum()), theme, float(right["caption"][chosen].mean()))
