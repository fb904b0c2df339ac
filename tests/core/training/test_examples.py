from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np

from rsmoe_core.data.base import Question, Sample
from rsmoe_core.model.moe import split_parts
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, EXPERTS, ExpertTargets
from rsmoe_core.training.consensus import ConsensusCaption
from rsmoe_core.training.examples import TASKS, TrainingExample, TrainingSample, pack, texts

CAPTION, OTHER = "a pond is near a road .", "there is a pond ."
PROMPTS = {"theme": "which water is it", "objects": "count the ponds", "relations": "what is near the pond"}
DRAFTS = {"theme": "pond", "objects": "a pond, a road", "relations": ""}
SAMPLE = TrainingSample(
    Sample(Path("a.jpg"), "train", (CAPTION, OTHER, CAPTION, CAPTION)),
    ExpertTargets(DRAFTS, PROMPTS),
    {"theme": "pond", "objects": "a lake", "relations": "pond near road"},
)


def examples(task: str, model: RSMoE, sample: TrainingSample = SAMPLE, seed: int = 0) -> list[TrainingExample]:
    return TASKS[task](sample, model.tokenizer.experts, np.random.default_rng(seed))


def test_each_different_caption_has_the_same_weight(tiny_model: RSMoE) -> None:
    assert examples("caption", tiny_model) == [
        TrainingExample(BASE, CAPTION_INSTRUCTION, CAPTION, 1.0),
        TrainingExample(BASE, CAPTION_INSTRUCTION, OTHER, 1.0),
    ]


def test_consensus_captions_are_drawn_by_their_shares(tiny_model: RSMoE) -> None:
    consensus = (ConsensusCaption("a pond .", 0.9), ConsensusCaption("water .", 0.1))
    known = dataclasses.replace(SAMPLE, consensus=consensus)
    for task in ("caption", "fuse", "fuse_targets"):
        drawn = [examples(task, tiny_model, known, seed) for seed in range(200)]
        assert {len(own) for own in drawn} == {2}, task
        answers = Counter(one.answer for own in drawn for one in own)
        assert set(answers) == {"a pond .", "water ."}, task
        assert 0.05 < answers["water ."] / answers.total() < 0.15, task


def test_subtasks_are_asked_in_both_ways_and_skipped_where_the_target_is_unknown(tiny_model: RSMoE) -> None:
    unknown = dataclasses.replace(SAMPLE, targets=ExpertTargets(DRAFTS | {"theme": ""}, PROMPTS))
    drawn = [examples("subtask", tiny_model, unknown, seed) for seed in range(200)]
    assert {len(own) for own in drawn} == {0, 1}
    asked = Counter((own[0].prompt, own[0].answer) for own in drawn if own)
    assert set(asked) == {
        (prompt, DRAFTS[name])
        for name in ("objects", "relations")
        for prompt in (EXPERTS[name].default_prompt, PROMPTS[name])
    }
    assert min(asked.values()) > 15


def test_the_router_learns_the_prompts_of_all_experts(tiny_model: RSMoE) -> None:
    (example,) = examples("route", tiny_model)
    assert (example.role, example.prompt) == ("router", CAPTION_INSTRUCTION)
    assert split_parts(example.answer, tiny_model.config.experts) == PROMPTS


def test_each_expert_learns_its_own_target_and_an_empty_one_only_if_it_may_be_empty(tiny_model: RSMoE) -> None:
    sample = dataclasses.replace(SAMPLE, targets=ExpertTargets(DRAFTS | {"theme": ""}, PROMPTS))
    assert examples("draft", tiny_model, sample) == [
        TrainingExample("objects", PROMPTS["objects"], "a pond, a road", 1.0),
        TrainingExample("relations", PROMPTS["relations"], "", 1.0),
    ]
    uncaptioned = dataclasses.replace(SAMPLE, sample=dataclasses.replace(SAMPLE.sample, captions=()))
    assert examples("draft", tiny_model, uncaptioned) == []


def test_questions_go_to_the_experts_that_can_answer_them(tiny_model: RSMoE) -> None:
    question = Question("is there any pond?", "yes", "presence")
    sample = dataclasses.replace(SAMPLE, questions=(question,))
    (routed,) = examples("route_question", tiny_model, sample)
    asked = split_parts(routed.answer, tiny_model.config.experts)
    assert (routed.role, routed.prompt, asked) == (
        "router",
        question.text,
        {"theme": question.text, "objects": question.text},
    )
    answers = examples("answer", tiny_model, sample)
    assert [(one.role, one.prompt, one.answer) for one in answers] == [
        ("theme", question.text, "yes"),
        ("objects", question.text, "yes"),
    ]


def test_fusion_reads_drafts_of_which_some_are_left_out(tiny_model: RSMoE) -> None:
    drawn = [examples("fuse", tiny_model, seed=seed) for seed in range(300)]
    assert all(own[0].role == "fusion" and own[0].prompt == own[1].prompt for own in drawn)
    with_objects = [own for own in drawn if "<objects> a lake" in own[0].prompt]
    assert 0.6 < len(with_objects) / len(drawn) < 0.8
    assert not any("a pond, a road" in own[0].prompt for own in drawn), "drafts, not targets"


def test_fusion_may_read_the_targets_of_the_experts(tiny_model: RSMoE) -> None:
    drawn = [examples("fuse_targets", tiny_model, seed=seed) for seed in range(100)]
    assert all([one.answer for one in own] == [CAPTION, OTHER] for own in drawn)
    assert any("<theme> pond <objects> a pond, a road <relations>" in own[0].prompt for own in drawn)
    assert not any("a lake" in own[0].prompt for own in drawn), "targets, not drafts"


def test_any_role_is_one_role_at_a_time_and_all_of_them_over_time(tiny_model: RSMoE) -> None:
    sample = dataclasses.replace(SAMPLE, questions=(Question("is there a pond?", "yes", "presence"),))
    drawn = [examples("any_role", tiny_model, sample, seed) for seed in range(200)]
    assert all(len({one.role for one in own}) <= 1 for own in drawn)
    roles = Counter(one.role for own in drawn for one in own)
    assert set(roles) == {"router", "theme", "objects", "relations"}
    assert min(roles.values()) > 15
    learned = [one for own in drawn for one in own]
    for task in ("route", "draft", "route_question", "answer"):
        assert all(one in learned for one in examples(task, tiny_model, sample)), task


def test_the_vocabulary_is_learned_from_every_text(tiny_model: RSMoE) -> None:
    corpus = " ".join(texts(SAMPLE))
    for task in ("caption", "route", "draft"):
        for example in examples(task, tiny_model):
            for text in (example.prompt, example.answer):
                assert all(word in corpus for word in text.split() if not word.startswith("<"))


def test_packing_keeps_examples_apart(tiny_model: RSMoE) -> None:
    tokenizer = tiny_model.tokenizer
    first, second = TrainingExample(BASE, "name", "trees", 0.5), TrainingExample(BASE, "describe", "a pond", 2.0)
    rows = pack(tokenizer, [[first, second], [second]])
    long = [*tokenizer.prompt_ids("name"), *tokenizer.encode("trees"), tokenizer.eos]
    short = [*tokenizer.prompt_ids("describe"), *tokenizer.encode("a pond"), tokenizer.eos]
    padding = len(long)
    assert rows.ids_BT.tolist() == [long + short, short + [tokenizer.pad] * padding]
    assert rows.row_BT.tolist() == [[0] * len(long) + [1] * len(short), [0] * len(short) + [-1] * padding]
    assert rows.offset_BT.tolist()[0] == [*range(len(long)), *range(len(short))]
    learned = [0.0] * len(tokenizer.prompt_ids("describe")) + [2.0] * (len(tokenizer.encode("a pond")) + 1)
    assert rows.weight_BT.tolist()[1] == learned + [0.0] * padding
