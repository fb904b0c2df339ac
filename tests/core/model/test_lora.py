from __future__ import annotations

import json

import pytest
import torch

from rsmoe_core.errors import ModelError
from rsmoe_core.model import lora
from rsmoe_core.model.language.generation import write
from rsmoe_core.model.language.llama import answer_loss
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import BASE, roles
from rsmoe_core.training.examples import Row, pack
from tests.core.conftest import make_tiny

PROMPT = "describe the picture"


def say(model: RSMoE, roles: list[str] | None, rows: int) -> list[tuple[int, ...]]:
    tokens = torch.randn(1, 4, 32, generator=torch.Generator().manual_seed(5)).expand(rows, -1, -1)
    return [w.ids for w in write(model.language, model.tokenizer, tokens, [PROMPT] * rows, max_tokens=8, roles=roles)]


def loss(model: RSMoE) -> torch.Tensor:
    tokens = torch.randn(1, 4, 32, generator=torch.Generator().manual_seed(5))
    return answer_loss(model.language, tokens, pack(model.tokenizer, [[Row(None, PROMPT, "trees", 1.0)]]), dropout=0.0)


def test_roles_speak_in_order() -> None:
    assert roles(("a", "b")) == ("router", "a", "b", "fusion")


def test_a_batch_of_mixed_roles_equals_each_role_alone() -> None:
    model = make_tiny()
    roles = [*model.roles, BASE, "theme"]
    alone = [say(model, [role], 1)[0] for role in roles]
    assert len(set(alone)) > 3, "random adapters should say different things"
    assert say(model, roles, len(roles)) == alone
    assert alone[1] == alone[-1]


def test_adapters_start_equal_to_the_stage_1_model() -> None:
    model = make_tiny(experts=False)
    before, base_loss = say(model, None, 1)[0], loss(model).item()
    model.add_experts()
    model.eval()
    assert say(model, list(model.roles), len(model.roles)) == [before] * len(model.roles)
    for role in model.roles:
        lora.activate(model.language, role)
        assert loss(model).item() == base_loss


def test_no_role_is_the_language_model_without_adapters() -> None:
    model = make_tiny(experts=False)
    base = loss(model).item()
    model.add_experts()
    for _, parameter in lora.parameters_of(model.language, ["theme"]):
        torch.nn.init.normal_(parameter)
    model.eval()
    lora.activate(model.language, "theme")
    as_expert = loss(model).item()
    lora.activate(model.language, None)
    assert loss(model).item() == base != as_expert
    lora.activate(model.language, "theme")
    assert loss(model).item() == as_expert


def test_only_the_active_role_takes_gradients() -> None:
    model = make_tiny()
    lora.activate(model.language, "objects")
    loss(model).backward()
    moved = {name.split(".")[-2] for name, p in model.language.named_parameters() if p.grad is not None}
    assert moved == {"objects"}


def test_parameters_belong_to_the_named_adapters() -> None:
    model = make_tiny()
    chosen = lora.parameters_of(model.language, ["theme", "fusion"])
    assert {key.split(".")[-2] for key, _ in chosen} == {"theme", "fusion"}
    layers, targets = model.config.language.layers, len(model.config.lora.targets)
    assert len(chosen) == 2 * layers * targets * 2  # adapters, layers, places, the two factors
    assert lora.parameters_of(model.language, ["model", "layers"]) == []


def test_all_other_parameters_belong_to_none() -> None:
    model = make_tiny()
    every = {key for key, _ in model.language.named_parameters()}
    adapters = {key for key, _ in lora.parameters_of(model.language, model.roles)}
    bare = {key for key, _ in lora.without_adapters(model.language)}
    assert bare == every - adapters
    assert len(bare) == len(list(make_tiny(experts=False).language.parameters()))


def test_adapters_come_back_as_they_were(tmp_path) -> None:
    model = make_tiny()
    said = say(model, list(model.roles), len(model.roles))
    lora.save_adapters(model.language, tmp_path)
    settings = json.loads((tmp_path / "adapters/theme/adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] is None, "a folder of this machine is nobody's business"
    bare = make_tiny(experts=False)
    bare.language = lora.load_adapters(bare.language, tmp_path, model.config)
    assert say(bare.eval(), list(model.roles), len(model.roles)) == said


def test_a_missing_adapter_is_named(tmp_path) -> None:
    model = make_tiny()
    lora.save_adapters(model.language, tmp_path)
    (tmp_path / "adapters/relations/adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match="lacks relations"):
        lora.load_adapters(make_tiny(experts=False).language, tmp_path, model.config)


def test_a_damaged_adapter_is_refused_in_one_line(tmp_path) -> None:
    model = make_tiny()
    lora.save_adapters(model.language, tmp_path)
    (tmp_path / "adapters/objects/adapter_model.safetensors").write_bytes(b"\0" * 40)
    with pytest.raises(ModelError, match="damaged") as caught:
        lora.load_adapters(make_tiny(experts=False).language, tmp_path, model.config)
    assert "\n" not in str(caught.value)
