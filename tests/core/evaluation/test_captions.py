from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.errors import DataError, UsageError
from rsmoe_core.evaluation.captions import evaluate_captions
from rsmoe_core.metrics.captions import score_captions
from rsmoe_core.types import Description, Generation

pytestmark = pytest.mark.usefixtures("no_java")


def sample(split: str, *captions: str) -> Sample:
    return Sample(Path(f"{captions[0]}.jpg"), split, captions)


def described(*captions: str, theme: str = "pond") -> list[Description]:
    drafts = {"theme": Generation(theme)} if theme else {}
    return [Description(caption, drafts, 1.0) for caption in captions]


POND, ROAD, TREES = "a pond is near a road .", "a road is between two ponds .", "many green trees are in a park ."
DATASET = Dataset(
    Path("."),
    (
        sample("train", POND, TREES),
        sample("train", POND),
        sample("test", POND, "there is a pond ."),
        sample("test", ROAD),
        sample("test", TREES, "a park ."),
    ),
    (),
)
TEST = DATASET.split("test")


def test_right_captions_beat_the_baseline_and_wrong_ones_do_not() -> None:
    right = evaluate_captions(DATASET, TEST, described(POND, ROAD, TREES))
    assert right.images == 3
    assert right.tokenizer == "simple"
    assert right.scores["BLEU-4"] == pytest.approx(1)
    assert right.scores["CIDEr"] > right.baseline["CIDEr"] > 0
    wrong = evaluate_captions(DATASET, TEST, described(*["some airplanes"] * 3))
    assert wrong.scores["CIDEr"] == 0
    assert wrong.baseline == right.baseline


def test_images_are_grouped_by_their_number_of_different_references() -> None:
    twice = dataclasses.replace(TEST[1], captions=TEST[1].captions * 2)
    result = evaluate_captions(DATASET, (TEST[0], twice, TEST[2]), described(POND, "a park .", TREES))
    assert {number: figures["images"] for number, figures in result.by_unique_references.items()} == {"1": 1, "2": 2}
    assert result.by_unique_references["2"]["CIDEr"] == pytest.approx((result.cider[0] + result.cider[2]) / 2)
    assert result.by_unique_references["1"]["CIDEr"] == pytest.approx(result.cider[1])


def test_the_baseline_is_the_most_frequent_caption_of_the_training_split() -> None:
    result = evaluate_captions(DATASET, TEST, described(POND, ROAD, TREES))
    assert result.baseline_caption == POND
    expected = score_captions([POND] * 3, [s.captions for s in TEST])
    assert result.baseline == expected.corpus
    assert evaluate_captions(Dataset(Path("."), TEST, ()), TEST, described(*[POND] * 3)).baseline_caption in {
        c for s in TEST for c in s.captions
    }


def test_intervals_contain_the_mean_and_shrink_where_scores_are_equal() -> None:
    result = evaluate_captions(DATASET, TEST, described(POND, TREES, TREES))
    assert set(result.interval_95) == {"ROUGE-L", "CIDEr"}
    for name, (low, high) in result.interval_95.items():
        assert low < result.scores[name] < high
    same = evaluate_captions(DATASET, TEST, described(*["airplanes"] * 3))
    assert same.interval_95["CIDEr"] == (0, 0)
    assert evaluate_captions(DATASET, TEST, described(POND, TREES, TREES)) == result, "the resampling is seeded"


def test_scene_classes_are_scored_separately() -> None:
    scenes = ("pond", None, "pond")
    samples = [dataclasses.replace(s, scene_class=scene) for s, scene in zip(TEST, scenes, strict=True)]
    result = evaluate_captions(DATASET, samples, described(POND, ROAD, "airplanes"))
    assert {scene: figures["images"] for scene, figures in result.by_scene_class.items()} == {"pond": 2, "unknown": 1}
    means = [figures["images"] * figures["CIDEr"] for figures in result.by_scene_class.values()]
    assert sum(means) / 3 == pytest.approx(result.scores["CIDEr"])
    assert result.by_scene_class["pond"]["ROUGE-L"] < result.by_scene_class["unknown"]["ROUGE-L"]


def test_a_theme_is_right_if_it_equals_the_annotated_scene_class() -> None:
    samples = [dataclasses.replace(s, scene_class=scene) for s, scene in zip(TEST, ("pond", "park", None), strict=True)]
    result = evaluate_captions(DATASET, samples, described(POND, POND, TREES, theme="pond"))
    assert result.theme_accuracy == 0.5, "of the two images with a scene class"
    assert {scene: figures["theme_accuracy"] for scene, figures in result.by_scene_class.items()} == {
        "park": 0,
        "pond": 1,
        "unknown": 0,
    }
    assert result.unique_captions == 2
    assert evaluate_captions(DATASET, TEST, described(POND, POND, TREES)).theme_accuracy is None


def test_confidences_are_scored_by_their_rank_correlation_with_cider() -> None:
    texts = [POND, ROAD, "airplanes"]
    cider = evaluate_captions(DATASET, TEST, described(*texts)).cider
    rising = [Description(text, confidence=float(value) / 10) for text, value in zip(texts, cider, strict=True)]
    assert evaluate_captions(DATASET, TEST, rising).confidence_rank_correlation == pytest.approx(1)
    assert evaluate_captions(DATASET, TEST, described(*texts)).confidence_rank_correlation is None, "all are equal"
    without = [dataclasses.replace(text, confidence=None) for text in rising]
    assert evaluate_captions(DATASET, TEST, without).confidence_rank_correlation is None


def test_captions_without_themes_have_no_theme_accuracy() -> None:
    samples = [dataclasses.replace(s, scene_class="pond") for s in TEST]
    result = evaluate_captions(DATASET, samples, described(POND, ROAD, TREES, theme=""))
    assert result.theme_accuracy is None
    assert set(result.by_scene_class["pond"]) == {"images", "ROUGE-L", "CIDEr"}


def test_one_image_is_too_few() -> None:
    with pytest.raises(DataError, match="at least two"):
        evaluate_captions(DATASET, TEST[:1], described(POND))


def test_an_unknown_tokenizer_is_an_error() -> None:
    with pytest.raises(UsageError, match="simple, ptb"):
        evaluate_captions(DATASET, TEST, described(POND, ROAD, TREES), "moses")
