from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np

from rsmoe_core.data.base import Question, Sample
from rsmoe_core.data.targets import Targets
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import CAPTION, DEFAULT_PROMPTS
from rsmoe_core.training.consensus import ConsensusCaption
from rsmoe_core.training.examples import TASKS, Row, TrainingSample, texts

SENTENCE, OTHER = "a pond is near a road .", "there is a pond ."
PROMPTS = {"theme": "which water is it", "objects": "count the ponds", "relations": "what is near the pond"}
TARGETS = Targets(theme="pond", objects="a pond, a road", relations="", prompts=PROMPTS)
STUDY = TrainingSample(
    Sample(Path("a.jpg"), "train", (SENTENCE, OTHER, SENTENCE, SENTENCE)),
    TARGETS,
    {"theme": "pond", "objects": "a lake", "relations": "pond near road"},
)


def rows(task: str, model: RSMoE, training_sample: TrainingSample = STUDY, seed: int = 0) -> list[Row]:
    return TASKS[task](training_sample, model.tokenizer, np.random.default_rng(seed))


def test_each_different_sentence_weighs_the_same(tiny_model: RSMoE) -> None:
    assert rows("caption", tiny_model) == [Row(None, CAPTION, SENTENCE, 1.0), Row(None, CAPTION, OTHER, 1.0)]


def test_captions_are_what_most_would_agree_with_where_that_is_known(tiny_model: RSMoE) -> None:
    known = dataclasses.replace(STUDY, agreed=(ConsensusCaption("a pond .", 0.9), ConsensusCaption("water .", 0.1)))
    for task in ("caption", "fuse", "fuse_derived"):
        drawn = [rows(task, tiny_model, known, seed) for seed in range(200)]
        assert {len(own) for own in drawn} == {2}, task
        said = Counter(row.answer for own in drawn for row in own)
        assert set(said) == {"a pond .", "water ."}, task
        assert 0.05 < said["water ."] / said.total() < 0.15, task


def test_subtasks_are_asked_in_both_ways_and_skipped_where_nothing_is_known(tiny_model: RSMoE) -> None:
    unknown = dataclasses.replace(STUDY, targets=dataclasses.replace(TARGETS, theme=""))
    drawn = [rows("subtask", tiny_model, unknown, seed) for seed in range(200)]
    assert {len(own) for own in drawn} == {0, 1}
    asked = Counter((own[0].prompt, own[0].answer) for own in drawn if own)
    assert set(asked) == {
        (prompt, getattr(TARGETS, name))
        for name in ("objects", "relations")
        for prompt in (DEFAULT_PROMPTS[name], PROMPTS[name])
    }
    assert min(asked.values()) > 15


def test_the_router_learns_the_prompts_of_all_experts(tiny_model: RSMoE) -> None:
    (row,) = rows("route", tiny_model)
    assert (row.role, row.prompt) == ("router", CAPTION)
    assert tiny_model.tokenizer.split_parts(tiny_model.tokenizer.encode(row.answer)) == PROMPTS


def test_each_expert_learns_its_own_answer_and_relations_learns_to_be_silent(tiny_model: RSMoE) -> None:
    assert rows("draft", tiny_model) == [
        Row("theme", PROMPTS["theme"], "pond", 1.0),
        Row("objects", PROMPTS["objects"], "a pond, a road", 1.0),
        Row("relations", PROMPTS["relations"], "", 1.0),
    ]


def test_fusion_reads_drafts_of_which_some_are_left_out(tiny_model: RSMoE) -> None:
    drawn = [rows("fuse", tiny_model, seed=seed) for seed in range(300)]
    assert all(own[0].role == "fusion" and own[0].prompt == own[1].prompt for own in drawn)
    with_objects = [own for own in drawn if "<objects> a lake" in own[0].prompt]
    assert 0.6 < len(with_objects) / len(drawn) < 0.8
    assert not any("a pond, a road" in own[0].prompt for own in drawn), "drafts, not targets"


def test_fusion_may_read_what_the_experts_should_write(tiny_model: RSMoE) -> None:
    drawn = [rows("fuse_derived", tiny_model, seed=seed) for seed in range(100)]
    assert all([row.answer for row in own] == [SENTENCE, OTHER] for own in drawn)
    assert any("<theme> pond <objects> a pond, a road <relations>" in own[0].prompt for own in drawn)
    assert not any("a lake" in own[0].prompt for own in drawn), "targets, not drafts"


def test_one_role_has_its_turn_at_a_time_and_each_has_turns(tiny_model: RSMoE) -> None:
    training_sample = dataclasses.replace(STUDY, questions=(Question("is there a pond?", "yes", "presence"),))
    drawn = [rows("turn", tiny_model, training_sample, seed) for seed in range(200)]
    assert all(len({row.role for row in own}) <= 1 for own in drawn)
    turns = Counter(row.role for own in drawn for row in own)
    assert set(turns) == {"router", "theme", "objects", "relations"}
    assert min(turns.values()) > 15
    said = [row for own in drawn for row in own]
    for task in ("route", "draft", "route_question", "answer"):
        assert all(row in said for row in rows(task, tiny_model, training_sample)), task


def test_the_vocabulary_hears_everything_that_is_ever_said(tiny_model: RSMoE) -> None:
    heard = " ".join(texts(STUDY))
    for task in ("caption", "route", "draft"):
        for row in rows(task, tiny_model):
            for text in (row.prompt, row.answer):
                assert all(word in heard for word in text.split() if not word.startswith("<"))
