from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rsmoe_core.data.base import Question
from rsmoe_core.errors import TrainingError
from rsmoe_core.roles import DEFAULT_EXPERTS
from rsmoe_core.training.objectives.base import TrainingData
from rsmoe_core.training.samples import make_training_samples, with_consensus, with_drafts
from rsmoe_core.training.stages import find_stage
from tests.core.training.conftest import CAPTIONS
from tests.tiny import make_tiny


def test_drafts_are_generated_for_the_rows_asked_for_and_known_ones_stay(data: TrainingData) -> None:
    known = {"theme": "known", "objects": "", "relations": ""}
    samples = [dataclasses.replace(data.samples[0], drafts=known), *data.samples[1:]]
    updated = with_drafts(make_tiny(), samples, data.features, np.array([0, 1, 5]))
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
