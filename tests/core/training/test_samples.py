from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rsmoe_core.data.base import Question
from rsmoe_core.errors import TrainingError
from rsmoe_core.training.objectives.base import TrainingData
from rsmoe_core.training.samples import studies_of, with_agreement, with_drafts
from rsmoe_core.training.stages import stage
from tests.core.training.conftest import SAID
from tests.tiny import make_tiny


def test_drafts_are_written_for_the_rows_asked_for_and_known_ones_stay(material: TrainingData) -> None:
    known = {"theme": "known", "objects": "", "relations": ""}
    training_samples = [dataclasses.replace(material.training_samples[0], drafts=known), *material.training_samples[1:]]
    done = with_drafts(make_tiny(), training_samples, material.features, np.array([0, 1, 5]))
    assert done[0].drafts == known
    assert [number for number, training_sample in enumerate(done) if training_sample.drafts] == [0, 1, 5]
    assert set(done[5].drafts) <= set(known)


def test_agreement_is_sought_among_the_pictures_of_one_data_set(material: TrainingData) -> None:
    """Thirty pictures, of which the second half is of another set and put in other words."""
    training_samples = list(material.training_samples)
    for number in range(15, 30):
        sample = training_samples[number].sample
        training_samples[number] = dataclasses.replace(
            training_samples[number],
            sample=dataclasses.replace(sample, captions=(f"here is a {sample.scene_class} .",)),
        )
    counted = dataclasses.replace(training_samples[3].sample, synthetic=True)
    training_samples[3] = dataclasses.replace(training_samples[3], sample=counted)
    rows = np.array([number for number in range(30) if number != 7])
    done = with_agreement(training_samples, material.features, rows, [15, 15])
    assert not done[7].agreed, "held out"
    assert not done[3].agreed, "sentences made by rule have the right places and numbers"
    for number in set(rows.tolist()) - {3}:
        scene = str(done[number].sample.scene_class)
        best = done[number].agreed[0].text
        assert best == (SAID[scene] if number < 15 else f"here is a {scene} .")


def test_fine_tuning_asks_what_people_asked_and_nothing_made_by_rule(material: TrainingData) -> None:
    asked = Question("how many roads are there ?", "two", "count")
    unread = Question("how many quokkas are there ?", "three", "count")
    described = Question("what do you see in the picture ?", "a pond", "other")
    sample = dataclasses.replace(material.training_samples[0].sample, questions=(asked, unread, described))
    told: list[str] = []
    (own,) = studies_of(stage("finetune"), [sample], told.append)
    assert own.questions == (Question("how many roads are there?", "2", "count"),)
    assert told == ["questions left out, as no expert could answer them: 2; the first: how many quokkas are there ?"]
    (ruled,) = studies_of(stage("2"), [sample], told.append)
    assert set(own.questions) < set(ruled.questions)
    assert len(told) == 1


def test_questions_that_nobody_can_answer_are_nothing_to_learn(material: TrainingData) -> None:
    unread = Question("how many quokkas are there ?", "three", "count")
    sample = dataclasses.replace(material.training_samples[0].sample, captions=(), questions=(unread,))
    told: list[str] = []
    with pytest.raises(TrainingError, match="nothing to learn"):
        studies_of(stage("finetune"), [sample], told.append)
    assert "quokkas" in told[0]
