"""A fourth expert is trained by being registered and listed in a configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rsmoe_core.checkpoint.load import load_model
from rsmoe_core.presets import tiny
from rsmoe_core.roles import DEFAULT_EXPERTS, EXPERTS, Expert, register_expert
from rsmoe_core.training.examples import TASKS
from rsmoe_core.training.native import NativeTrainee
from rsmoe_core.training.run import TrainConfig, run_stage
from rsmoe_core.training.samples import make_training_samples, with_drafts
from rsmoe_core.training.stages import find_stage
from tests.core.training.conftest import make_data

NAMES = (*DEFAULT_EXPERTS, "plants")


@pytest.fixture
def plants() -> Iterator[Expert]:
    expert = Expert(
        name="plants",
        default_prompt="name the plants",
        description="which plants there are",
        target=lambda facts: "trees" if "tree" in facts.captions.named else "",
        prompt_target=lambda facts: "which trees are there" if "tree" in facts.captions.named else "",
        may_be_empty=True,
    )
    register_expert(expert)
    yield expert
    del EXPERTS["plants"]


def test_a_fourth_expert_has_an_adapter_examples_and_a_draft_that_fusion_reads(
    plants: Expert, karpathy_folder: Path, tmp_path: Path
) -> None:
    config = TrainConfig((karpathy_folder,), tmp_path, bf16=False, validation_split=0.2, views=1, max_steps=2)
    preset = dataclasses.replace(tiny(), experts=NAMES)
    start = run_stage(find_stage("1"), config, preset=preset, report=print)
    reported: list[str] = []
    model = load_model(run_stage(find_stage("2"), config, start=start, report=reported.append))
    assert "phase experts: trains router, theme, objects, relations, plants: " in reported[1]
    assert model.roles == ("router", *NAMES, "fusion")
    adapter = {key: value for key, value in model.state_dict().items() if ".lora_B.plants." in key}
    assert any(value.abs().max() > 0 for value in adapter.values()), "it was trained"

    data = make_data()
    samples = make_training_samples(find_stage("2"), [one.sample for one in data.samples[:3]], NAMES, print)
    pond, _, forest = samples
    rng = np.random.default_rng(0)
    of_plants = [one for one in TASKS["draft"](forest, model.tokenizer.experts, rng) if one.role == "plants"]
    assert [(one.prompt, one.answer) for one in of_plants] == [("which trees are there", "trees")]
    of_plants = [one for one in TASKS["draft"](pond, model.tokenizer.experts, rng) if one.role == "plants"]
    assert [(one.prompt, one.answer) for one in of_plants] == [("name the plants", "")]
    (routed,) = TASKS["route"](forest, model.tokenizer.experts, rng)
    assert routed.answer.endswith("<plants> which trees are there")

    drafted = with_drafts(NativeTrainee(model), samples, data.features, np.arange(3))
    assert tuple(drafted[0].drafts) == NAMES
    prompts = [
        TASKS["fuse"](drafted[0], model.tokenizer.experts, np.random.default_rng(seed))[0].prompt for seed in range(20)
    ]
    assert any(f"<plants> {drafted[0].drafts['plants']}" in prompt for prompt in prompts)
