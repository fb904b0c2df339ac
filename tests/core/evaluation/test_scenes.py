from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.evaluation.scenes import Mistake, SceneScore, evaluate_scenes
from rsmoe_core.types import Description

SCENES = ["harbor", "harbor", "runway", "river"]
DATASET = Dataset(
    Path("."),
    (
        *(Sample(Path(f"train{n}.jpg"), "train", (), "runway") for n in range(3)),
        *(Sample(Path(f"{n}.jpg"), "test", (), scene) for n, scene in enumerate(SCENES)),
    ),
    (),
)
TEST = DATASET.split("test")
SAID = [
    Description("Many boats are in a port.", "port", "", "", 0.5),
    Description("Many boats are on the sea.", "sea", "", "", 0.5),
    Description("A runway is near bare land.", "bare land", "", "", 0.5),
    Description("Trees are near a lake.", "sea", "", "", 0.5),
]


def test_places_are_named_by_theme_and_caption() -> None:
    result = evaluate_scenes(DATASET, TEST, SAID)
    assert result.overall == SceneScore(4, 1 / 4, 2 / 4)
    assert result.classes == {
        "harbor": SceneScore(2, 1 / 2, 1 / 2),
        "river": SceneScore(1, 0, 0),
        "runway": SceneScore(1, 0, 1),
    }
    assert set(result.interval_95) == {"theme", "caption"}
    assert "port" in result.names["harbor"]
    assert result.mistakes == (
        Mistake("harbor", "sea", 1),
        Mistake("runway", "bare land", 1),
        Mistake("river", "sea", 1),
    )


def test_the_baseline_is_the_commonest_kind_of_training() -> None:
    result = evaluate_scenes(DATASET, TEST, SAID)
    assert (result.baseline_scene, result.baseline) == ("runway", 1 / 4)
    alone = evaluate_scenes(Dataset(Path("."), TEST, ()), TEST, SAID)
    assert (alone.baseline_scene, alone.baseline) == ("harbor", 2 / 4)


def test_captions_without_themes_have_no_theme_score() -> None:
    result = evaluate_scenes(DATASET, TEST, [Description(text.caption, "", "", "", 0.5) for text in SAID])
    assert result.overall.theme is None
    assert result.overall.caption == pytest.approx(2 / 4)
    assert set(result.interval_95) == {"caption"}
    assert result.mistakes == ()
