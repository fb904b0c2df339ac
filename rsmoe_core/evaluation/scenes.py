"""What was said of pictures with an annotated kind of place → how often it was named, class by class. Free of torch.

For data sets with scene classes and no captions: a model that has never seen them may know the places by other names,
so `rsmoe_core.words.scene_classes` says which names are equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.metrics.intervals import interval_95
from rsmoe_core.types import Description
from rsmoe_core.words.scene_classes import accepted, names_place, same_place


@dataclass(frozen=True)
class SceneScore:
    """How often a kind of place was named."""

    pictures: int
    theme: float | None
    """Share of its pictures whose theme is one of its names; None where no theme was said of any picture."""
    caption: float
    """Share of its pictures in whose caption one of its names occurs."""


@dataclass(frozen=True)
class Mistake:
    """A kind of place that was taken for another one."""

    scene: str
    said: str
    """The theme; empty where none was said."""
    pictures: int


@dataclass(frozen=True)
class SceneEvaluation:
    """How often the kinds of places of one split were named."""

    overall: SceneScore
    interval_95: dict[str, tuple[float, float]]
    """`theme` and `caption` → bootstrap over pictures (1,000 resamples, seed 0)."""
    baseline: float
    """Share of the pictures that are of the commonest kind of place of the training split."""
    baseline_scene: str
    classes: dict[str, SceneScore]
    names: dict[str, tuple[str, ...]]
    """Kind of place → the names that are right for it."""
    mistakes: tuple[Mistake, ...]
    """Wrong themes, commonest first."""


def evaluate_scenes(dataset: Dataset, samples: Sequence[Sample], said: Sequence[Description]) -> SceneEvaluation:
    """Score what was said of samples that all have a scene, of which there is at least one."""
    classes = sorted({sample.scene_class for sample in dataset.samples if sample.scene_class})
    scenes = [sample.scene_class or "" for sample in samples]
    told = list(zip(scenes, said, strict=True))
    named = {"caption": np.array([names_place(scene, text.caption, classes) for scene, text in told])}
    wrong: Counter[tuple[str, str]] = Counter()
    if any(text.theme for text in said):
        named["theme"] = np.array([same_place(scene, text.theme.lower(), classes) for scene, text in told])
        wrong.update((s, text.theme) for (s, text), right in zip(told, named["theme"], strict=True) if not right)
    usual = Counter(s.scene_class for s in dataset.samples if s.split == "train" and s.scene_class) or Counter(scenes)
    commonest = usual.most_common(1)[0][0]
    return SceneEvaluation(
        overall=_score(named, np.ones(len(samples), dtype=bool)),
        interval_95={name: interval_95(right) for name, right in named.items()},
        baseline=scenes.count(commonest) / len(scenes),
        baseline_scene=commonest,
        classes={scene: _score(named, np.array(scenes) == scene) for scene in sorted(set(scenes))},
        names={scene: tuple(sorted(accepted(scene, classes))) for scene in sorted(set(scenes))},
        mistakes=tuple(Mistake(scene, theme, pictures) for (scene, theme), pictures in wrong.most_common()),
    )


def _score(named: dict[str, NDArray[np.bool_]], chosen: NDArray[np.bool_]) -> SceneScore:
    theme = float(named["theme"][chosen].mean()) if "theme" in named else None
    return SceneScore(int(chosen.sum()), theme, float(named["caption"][chosen].mean()))
