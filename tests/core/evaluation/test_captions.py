from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from rsmoe_core.data.base import Dataset, Sample
from rsmoe_core.data.formats.registry import read_dataset
from rsmoe_core.engine import load
from rsmoe_core.errors import DataError, UsageError
from rsmoe_core.evaluation.captions import describe_samples, score, usable
from rsmoe_core.metrics.captions import score_captions
from rsmoe_core.types import Description

pytestmark = pytest.mark.usefixtures("no_java")


def sample(split: str, *captions: str) -> Sample:
    return Sample(Path(f"{captions[0]}.jpg"), split, captions)


def said(*captions: str, theme: str = "pond") -> list[Description]:
    return [Description(caption, theme, "", "", 1.0) for caption in captions]


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


def test_right_words_beat_the_baseline_and_wrong_words_do_not() -> None:
    right = score(DATASET, TEST, said(POND, ROAD, TREES))
    assert right.pictures == 3
    assert right.tokenizer == "simple"
    assert right.scores["BLEU-4"] == pytest.approx(1)
    assert right.scores["CIDEr"] > right.baseline["CIDEr"] > 0
    wrong = score(DATASET, TEST, said(*["some airplanes"] * 3))
    assert wrong.scores["CIDEr"] == 0
    assert wrong.baseline == right.baseline


def test_pictures_are_told_apart_by_how_many_things_were_said_of_them() -> None:
    twice = dataclasses.replace(TEST[1], captions=TEST[1].captions * 2)
    result = score(DATASET, (TEST[0], twice, TEST[2]), said(POND, "a park .", TREES))
    assert {voices: figures["pictures"] for voices, figures in result.by_agreement.items()} == {"1": 1, "2": 2}
    assert result.by_agreement["2"]["CIDEr"] == pytest.approx((result.cider[0] + result.cider[2]) / 2)
    assert result.by_agreement["1"]["CIDEr"] == pytest.approx(result.cider[1])


def test_the_baseline_is_the_commonest_sentence_of_the_training_split() -> None:
    result = score(DATASET, TEST, said(POND, ROAD, TREES))
    assert result.baseline_caption == POND
    expected = score_captions([POND] * 3, [s.captions for s in TEST])
    assert result.baseline == expected.corpus
    assert score(Dataset(Path("."), TEST, ()), TEST, said(*[POND] * 3)).baseline_caption in {
        c for s in TEST for c in s.captions
    }


def test_intervals_hold_the_mean_and_shrink_with_agreement() -> None:
    result = score(DATASET, TEST, said(POND, TREES, TREES))
    assert set(result.interval_95) == {"ROUGE-L", "CIDEr"}
    for name, (low, high) in result.interval_95.items():
        assert low < result.scores[name] < high
    same = score(DATASET, TEST, said(*["airplanes"] * 3))
    assert same.interval_95["CIDEr"] == (0, 0)
    assert score(DATASET, TEST, said(POND, TREES, TREES)) == result, "the resampling is seeded"


def test_kinds_of_places_are_scored_apart() -> None:
    scenes = ("pond", None, "pond")
    samples = [dataclasses.replace(s, scene_class=scene) for s, scene in zip(TEST, scenes, strict=True)]
    result = score(DATASET, samples, said(POND, ROAD, "airplanes"))
    assert {scene: figures["pictures"] for scene, figures in result.by_scene.items()} == {"pond": 2, "unknown": 1}
    means = [figures["pictures"] * figures["CIDEr"] for figures in result.by_scene.values()]
    assert sum(means) / 3 == pytest.approx(result.scores["CIDEr"])
    assert result.by_scene["pond"]["ROUGE-L"] < result.by_scene["unknown"]["ROUGE-L"]


def test_themes_are_right_where_they_are_the_annotated_kind_of_place() -> None:
    samples = [dataclasses.replace(s, scene_class=scene) for s, scene in zip(TEST, ("pond", "park", None), strict=True)]
    result = score(DATASET, samples, said(POND, POND, TREES, theme="pond"))
    assert result.theme_accuracy == 0.5, "of the two whose kind of place is annotated"
    assert {scene: figures["theme_accuracy"] for scene, figures in result.by_scene.items()} == {
        "park": 0,
        "pond": 1,
        "unknown": 0,
    }
    assert result.unique_captions == 2
    assert score(DATASET, TEST, said(POND, POND, TREES)).theme_accuracy is None


def test_confidence_is_judged_by_the_order_in_which_it_puts_captions() -> None:
    texts = [POND, ROAD, "airplanes"]
    cider = score(DATASET, TEST, said(*texts)).cider
    rising = [Description(text, "", "", "", float(value) / 10) for text, value in zip(texts, cider, strict=True)]
    assert score(DATASET, TEST, rising).confidence_order == pytest.approx(1)
    assert score(DATASET, TEST, said(*texts)).confidence_order is None, "all are as sure"
    unknown = [dataclasses.replace(text, confidence=math.nan) for text in rising]
    assert score(DATASET, TEST, unknown).confidence_order is None


def test_captions_without_themes_have_no_theme_accuracy() -> None:
    samples = [dataclasses.replace(s, scene_class="pond") for s in TEST]
    result = score(DATASET, samples, said(POND, ROAD, TREES, theme=""))
    assert result.theme_accuracy is None
    assert set(result.by_scene["pond"]) == {"pictures", "ROUGE-L", "CIDEr"}


def test_what_a_split_lacks_is_said() -> None:
    placed = dataclasses.replace(TEST[0], scene_class="pond")
    dataset = Dataset(Path("here"), (placed, *TEST[1:]), ())
    assert usable(dataset, "test", "scene_class") == (placed,)
    with pytest.raises(DataError, match="here: no picture in split 'test' has a question; choose another split"):
        usable(dataset, "test", "questions")


def test_one_picture_is_too_few() -> None:
    with pytest.raises(DataError, match="at least two"):
        score(DATASET, TEST[:1], said(POND))


def test_an_unknown_tokenizer_is_refused() -> None:
    with pytest.raises(UsageError, match="simple, ptb"):
        score(DATASET, TEST, said(POND, ROAD, TREES), "moses")


def test_pictures_are_described_in_order_whatever_the_batch(karpathy_folder: Path, tiny_folder: Path) -> None:
    engine = load(tiny_folder, device="cpu")
    samples = read_dataset(karpathy_folder).split("test")
    done: list[int] = []
    engine.batch_size = 3
    [described] = describe_samples(engine, samples, progress=done.append)
    assert done == [3, 1]
    engine.batch_size = 1
    [alone] = describe_samples(engine, samples)
    assert [(s.caption, s.objects, s.prompts) for s in described] == [(s.caption, s.objects, s.prompts) for s in alone]
    assert np.allclose([s.confidence for s in described], [s.confidence for s in alone], atol=1e-4)
