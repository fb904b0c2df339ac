from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from rsmoe_core.data.base import Question, Sample
from rsmoe_core.errors import TrainingError
from rsmoe_core.roles import DEFAULT_EXPERTS
from rsmoe_core.training.native import NativeTrainee
from rsmoe_core.training.objectives.base import TrainingData
from rsmoe_core.training.samples import (
    make_training_samples,
    split_description,
    validation_split,
    with_consensus,
    with_drafts,
)
from rsmoe_core.training.stages import find_stage
from tests.core.training.conftest import CAPTIONS
from tests.tiny import make_tiny


def test_drafts_are_generated_for_the_rows_asked_for_and_known_ones_stay(data: TrainingData) -> None:
    known = {"theme": "known", "objects": "", "relations": ""}
    samples = [dataclasses.replace(data.samples[0], drafts=known), *data.samples[1:]]
    updated = with_drafts(NativeTrainee(make_tiny()), samples, data.features, np.array([0, 1, 5]))
    assert updated[0].drafts == known
    assert [number for number, one in enumerate(updated) if one.drafts] == [0, 1, 5]
    assert set(updated[5].drafts) == set(known)


def test_consensus_is_sought_among_the_images_of_one_data_set(data: TrainingData) -> None:
    """Thirty images; the second half belongs to another data set with other sentences."""
    samples = list(data.samples)
    for number in range(15, 30):
        sample = samples[number].sample
        captions = (f"here is a {sample.scene_class} .",)
        samples[number] = dataclasses.replace(samples[number], sample=dataclasses.replace(sample, captions=captions))
    synthetic = dataclasses.replace(samples[3].sample, synthetic=True)
    samples[3] = dataclasses.replace(samples[3], sample=synthetic)
    rows = np.array([number for number in range(30) if number != 7])
    updated = with_consensus(samples, data.features, rows, [15, 15])
    assert not updated[7].consensus, "held out"
    assert not updated[3].consensus, "synthetic captions have exact numbers and locations"
    for number in set(rows.tolist()) - {3}:
        scene_class = str(updated[number].sample.scene_class)
        best = updated[number].consensus[0].text
        assert best == (CAPTIONS[scene_class] if number < 15 else f"here is a {scene_class} .")


def test_fine_tuning_uses_questions_of_people_and_none_that_are_derived(data: TrainingData) -> None:
    asked = Question("how many roads are there ?", "two", "count")
    unparsed = Question("how many quokkas are there ?", "three", "count")
    description = Question("what do you see in the picture ?", "a pond", "other")
    sample = dataclasses.replace(data.samples[0].sample, questions=(asked, unparsed, description))
    reported: list[str] = []
    (own,) = make_training_samples(find_stage("finetune"), [sample], DEFAULT_EXPERTS, reported.append)
    assert own.questions == (Question("how many roads are there?", "2", "count"),)
    assert reported == [
        "questions left out, as no expert could answer them: 2; the first: how many quokkas are there ?"
    ]
    (derived,) = make_training_samples(find_stage("2"), [sample], DEFAULT_EXPERTS, reported.append)
    assert set(own.questions) < set(derived.questions)
    (unasked,) = make_training_samples(find_stage("detect"), [sample], DEFAULT_EXPERTS, reported.append)
    assert unasked.questions == ()
    assert len(reported) == 1


def test_questions_that_no_expert_can_answer_are_nothing_to_learn(data: TrainingData) -> None:
    unparsed = Question("how many quokkas are there ?", "three", "count")
    sample = dataclasses.replace(data.samples[0].sample, captions=(), questions=(unparsed,))
    reported: list[str] = []
    with pytest.raises(TrainingError, match="nothing to learn"):
        make_training_samples(find_stage("finetune"), [sample], DEFAULT_EXPERTS, reported.append)
    assert "quokkas" in reported[0]


def test_the_targets_are_those_of_the_experts_of_the_model(data: TrainingData) -> None:
    (own,) = make_training_samples(find_stage("2"), [data.samples[0].sample], ("theme",), print)
    assert own.targets.drafts == {"theme": "pond"}
    assert set(own.targets.prompts) == {"theme"}


def test_a_group_is_held_out_whole_and_always_the_same() -> None:
    samples = [Sample(Path(f"{n}.jpg"), "train", ("x",), group=f"s{n // 4}") for n in range(400)]
    held_out = validation_split(samples, 0.3)
    assert np.array_equal(held_out, validation_split(samples, 0.3))
    assert all(len(set(held_out[n : n + 4])) == 1 for n in range(0, 400, 4))
    assert 0.15 < held_out.mean() < 0.45
    assert np.array_equal(validation_split(samples[200:], 0.3), held_out[200:]), "by name, not by position"


def test_images_of_one_group_are_held_out_one_by_one() -> None:
    samples = [Sample(Path(f"{n}.png"), "train", ("x",), group="all") for n in range(30)]
    held_out = validation_split(samples, 0.15)
    assert 2 <= held_out.sum() <= 10
    assert "one by one" in split_description(samples, held_out)


@pytest.mark.parametrize("sizes", [(33, 7), (33, 4, 3), (20, 20), (13, 13, 14), (39, 1), (30, 2, 2, 2, 2, 2)])
@pytest.mark.parametrize("share", [0.05, 0.15, 0.3])
def test_a_large_group_is_never_held_out_in_the_place_of_a_small_share(sizes: tuple[int, ...], share: float) -> None:
    """Forty images; whichever hash the groups have, the split has about the share that was asked for."""
    for shift in range(12):
        names = [f"{number + shift}-0" for number, size in enumerate(sizes) for _ in range(size)]
        samples = [Sample(Path(f"{n}.png"), "train", ("x",), group=name) for n, name in enumerate(names)]
        held_out = validation_split(samples, share)
        assert share * 40 / 2 <= held_out.sum() <= 2 * share * 40
        if "by group" in split_description(samples, held_out):
            assert not {names[n] for n in np.flatnonzero(held_out)} & {names[n] for n in np.flatnonzero(~held_out)}


def test_why_single_images_are_held_out_is_said_as_it_is() -> None:
    samples = [Sample(Path(f"{n}.png"), "train", ("x",), group=f"{n % 2}") for n in range(40)]
    assert split_description(samples, validation_split(samples, 0.15)) == "one by one, since the groups are too large"


@pytest.mark.parametrize("count", [3, 8, 30])
def test_a_few_groups_are_held_out_whole(count: int) -> None:
    samples = [Sample(Path(f"{n}.png"), "train", ("x",), group=f"s{n // 2}") for n in range(2 * count)]
    held_out = validation_split(samples, 0.01)
    assert held_out.sum() == 2
    assert split_description(samples, held_out) == "by group"


def test_two_images_are_too_few() -> None:
    with pytest.raises(TrainingError, match="too few images"):
        validation_split([Sample(Path(f"{n}.png"), "train", ("x",)) for n in range(2)], 0.15)
