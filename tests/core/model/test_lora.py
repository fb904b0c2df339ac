from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rsmoe_core.checkpoint.weights import ADAPTER_SETTINGS, ADAPTER_WEIGHTS
from rsmoe_core.model import lora
from rsmoe_core.model.language.llama import TransformersDecoders, answer_loss
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import BASE
from rsmoe_core.training.examples import TrainingExample, pack
from tests.tiny import make_tiny

PROMPT = "describe the picture"


@pytest.fixture(scope="module")
def switched() -> RSMoE:
    """The same model as `tiny_model`; generating from it changes which of its adapters is active."""
    return make_tiny()


def vision_tokens() -> torch.Tensor:
    return torch.randn(1, 4, 32, generator=torch.Generator().manual_seed(5))


def generate(model: RSMoE, role: str) -> tuple[int, ...]:
    """The ids that the model in training form generates in a role."""
    language = lora.SwitchedRole(model.language, role) if model.has_experts else model.language
    decoders = TransformersDecoders({role: language}, model.tokenizer.pad)
    prompt, eos = model.tokenizer.prompt_ids(PROMPT), model.tokenizer.eos
    return decoders.generate(vision_tokens(), [prompt], [role], 8, eos)[0].ids


def generate_all(model: RSMoE) -> list[tuple[int, ...]]:
    return [generate(model, role) for role in model.roles]


def loss(model: RSMoE) -> torch.Tensor:
    rows = pack(model.tokenizer, [[TrainingExample(BASE, PROMPT, "trees", 1.0)]])
    return answer_loss(model.language, vision_tokens(), rows, dropout=0.0)


def adapter_names(parameters: Sequence[tuple[str, torch.nn.Parameter]]) -> set[str]:
    return {key.split(".")[-2] for key, _ in parameters}


def test_a_switched_role_generates_what_its_merged_weights_generate(tiny_model: RSMoE, switched: RSMoE) -> None:
    prompt, eos = tiny_model.tokenizer.prompt_ids(PROMPT), tiny_model.tokenizer.eos
    copies = {role: lora.merged(tiny_model.language, role) for role in tiny_model.roles}
    merged = TransformersDecoders(copies, tiny_model.tokenizer.pad)
    rows, tokens = len(copies), vision_tokens().expand(len(copies), -1, -1)
    expected = [s.ids for s in merged.generate(tokens, [prompt] * rows, list(copies), 8, eos)]
    assert generate_all(switched) == expected
    assert len(set(expected)) > 3, "random adapters should generate different texts"


def test_adapters_start_equal_to_the_stage_1_model() -> None:
    model = make_tiny(experts=False)
    before, base_loss = generate(model, BASE), loss(model).item()
    model.add_experts()
    model.eval()
    assert generate_all(model) == [before] * len(model.roles)
    for role in model.roles:
        lora.activate(model.language, role)
        assert loss(model).item() == base_loss


def test_without_a_role_no_adapter_is_active() -> None:
    model = make_tiny(experts=False)
    base = loss(model).item()
    model.add_experts()
    for _, parameter in lora.parameters_of(model.language, ["theme"]):
        torch.nn.init.normal_(parameter)
    model.eval()
    lora.activate(model.language, "theme")
    as_expert = loss(model).item()
    lora.activate(model.language, BASE)
    assert loss(model).item() == base != as_expert
    lora.activate(model.language, "theme")
    assert loss(model).item() == as_expert


def test_only_the_active_role_takes_gradients() -> None:
    model = make_tiny()
    lora.activate(model.language, "objects")
    loss(model).backward()
    with_gradient = [(name, p) for name, p in model.language.named_parameters() if p.grad is not None]
    assert adapter_names(with_gradient) == {"objects"}


def test_parameters_belong_to_the_named_adapters(tiny_model: RSMoE) -> None:
    chosen = lora.parameters_of(tiny_model.language, ["theme", "fusion"])
    assert adapter_names(chosen) == {"theme", "fusion"}
    layers, targets = tiny_model.config.language.layers, len(tiny_model.config.lora.targets)
    assert len(chosen) == 2 * layers * targets * 2  # adapters, layers, linear layers, the two factors
    assert lora.parameters_of(tiny_model.language, ["model", "layers"]) == []


def test_all_other_parameters_belong_to_none(tiny_model: RSMoE, tiny_stage_1: RSMoE) -> None:
    every = {key for key, _ in tiny_model.language.named_parameters()}
    adapters = {key for key, _ in lora.parameters_of(tiny_model.language, tiny_model.roles)}
    without = {key for key, _ in lora.without_adapters(tiny_model.language)}
    assert without == every - adapters
    assert len(without) == len(list(tiny_stage_1.language.parameters()))


def test_a_merged_copy_leaves_the_model_as_it_was(tiny_model: RSMoE) -> None:
    before = {key: value.clone() for key, value in tiny_model.language.state_dict().items()}
    copy = lora.merged(tiny_model.language, "theme")
    assert not any("lora_" in key for key in copy.state_dict())
    after = tiny_model.language.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_saved_adapters_are_loaded_as_they_were(tmp_path: Path, tiny_model: RSMoE, switched: RSMoE) -> None:
    lora.save_adapters(tiny_model.language, tmp_path)
    settings = json.loads((tmp_path / "theme" / ADAPTER_SETTINGS).read_text())
    assert settings["base_model_name_or_path"] is None, "a path of this machine does not belong in a published file"
    assert {path.name for path in tmp_path.iterdir()} == set(tiny_model.roles)
    states = {role: load_file(tmp_path / role / ADAPTER_WEIGHTS) for role in tiny_model.roles}
    again = make_tiny(experts=False)
    again.language = lora.load_adapters(again.language, states, tiny_model.config.lora)
    again.has_experts = True
    assert not any(parameter.requires_grad for parameter in again.language.parameters())
    assert generate_all(again.eval()) == generate_all(switched)


def test_the_settings_of_adapters_are_written_in_one_order(tiny_model: RSMoE, tmp_path: Path) -> None:
    """peft keeps the names in a set, whose order changes from one process to the next, and the revision with it."""
    targets = list(tiny_model.config.lora.targets)
    assert len(targets) > 1
    lora.save_adapters(tiny_model.language, tmp_path)
    for role in tiny_model.roles:
        assert json.loads((tmp_path / role / ADAPTER_SETTINGS).read_text())["target_modules"] == sorted(targets)
