from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.evaluation.scenes import Mistake, SceneScore, evaluate_scenes
from rsmoe_core.types import Description, Generation

CLASSES = ["harbor", "harbor", "runway", "river"]
DATASET = Dataset(
    Path("."),
    (
        *(Sample(Path(f"train{n}.jpg"), "train", (), "runway") for n in range(3)),
        *(Sample(Path(f"{n}.jpg"), "test", (), name) for n, name in enumerate(CLASSES)),
    ),
    (),
)
TEST = DATASET.split("test")


def description(caption: str, theme: str) -> Description:
    return Description(caption, {"theme": Generation(theme)})


DESCRIBED = [
    description("Many boats are in a port.", "port"),
    description("Many boats are on the sea.", "sea"),
    description("A runway is near bare land.", "bare land"),
    description("Trees are near a lake.", "sea"),
]


def test_theme_and_caption_are_scored() -> None:
    result = evaluate_scenes(DATASET, TEST, DESCRIBED)
    assert result.overall == SceneScore(4, 1 / 4, 2 / 4)
    assert result.classes == {
        "harbor": SceneScore(2, 1 / 2, 1 / 2),
        "river": SceneScore(1, 0, 0),
        "runway": SceneScore(1, 0, 1),
    }
    assert set(result.interval_95) == {"theme", "caption"}
    assert "port" in result.accepted_names["harbor"]
    assert result.mistakes == (
        Mistake("harbor", "sea", 1),
        Mistake("runway", "bare land", 1),
        Mistake("river", "sea", 1),
    )


def test_the_baseline_is_the_most_frequent_class_of_training() -> None:
    result = evaluate_scenes(DATASET, TEST, DESCRIBED)
    assert (result.baseline_class, result.baseline) == ("runway", 1 / 4)
    without_train = evaluate_scenes(Dataset(Path("."), TEST, ()), TEST, DESCRIBED)
    assert (without_train.baseline_class, without_train.baseline) == ("harbor", 2 / 4)


def test_captions_without_themes_have_no_theme_score() -> None:
    result = evaluate_scenes(DATASET, TEST, [Description(text.caption) for text in DESCRIBED])
    assert result.overall.theme is None
    assert result.overall.caption == pytest.approx(2 / 4)
    assert set(result.interval_95) == {"caption"}
    assert result.mistakes == ()
