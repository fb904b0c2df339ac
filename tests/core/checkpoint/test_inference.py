from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rsmoe_core.checkpoint.inference import load_for_inference
from rsmoe_core.checkpoint.load import load_model, save_model
from rsmoe_core.errors import ModelError
from rsmoe_core.model.language.generation import RoleDecoders, write
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import ADAPTER_WEIGHTS, ADAPTERS, BASE
from tests.core.conftest import make_tiny

PROMPTS = ["describe the picture", "name the kind of place"]


def greedy(model: RSMoE) -> RSMoE:
    model.config = dataclasses.replace(model.config, decoding=dataclasses.replace(model.config.decoding, beams=1))
    return model


def say(model: RSMoE, role: str) -> list[tuple[int, ...]]:
    tokens = torch.randn(2, 4, 32, generator=torch.Generator().manual_seed(2))
    return [w.ids for w in write(model.language, model.tokenizer, tokens, PROMPTS, max_tokens=8, roles=[role] * 2)]


@pytest.mark.parametrize("merged", [False, True])
def test_a_ready_model_says_what_the_trained_one_says(tmp_path: Path, merged: bool) -> None:
    save_model(greedy(make_tiny()), tmp_path, merged=merged)
    ready, trained = load_for_inference(tmp_path), load_model(tmp_path)
    assert isinstance(ready.language, RoleDecoders)
    assert ready.has_experts
    said = {role: say(ready, role) for role in (*trained.roles, BASE)}
    assert said == {role: say(trained, role) for role in said}
    assert len({tuple(texts) for texts in said.values()}) > 2, "roles say different things"
    patches = torch.randn(2, ready.config.vision.grid**2, ready.config.vision.feature_size)
    assert torch.equal(ready.encode(patches, PROMPTS), trained.encode(patches, PROMPTS))
    assert not any(p.requires_grad for p in ready.parameters())


def test_a_model_with_beams_is_read_into_the_form_that_has_them(tmp_path: Path) -> None:
    save_model(make_tiny(), tmp_path)
    assert load_for_inference(tmp_path).config.decoding.beams > 1
    assert not isinstance(load_for_inference(tmp_path).language, RoleDecoders)


def test_a_stage_1_model_has_no_experts(tmp_path: Path) -> None:
    save_model(greedy(make_tiny(experts=False)), tmp_path)
    assert not load_for_inference(tmp_path).has_experts


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    save_model(greedy(make_tiny()), tmp_path)
    path = tmp_path / ADAPTERS / "theme" / ADAPTER_WEIGHTS
    state = load_file(str(path))
    first = next(key for key in sorted(state) if "lora_B" in key)
    save_file({key: value for key, value in state.items() if key != first}, str(path))
    with pytest.raises(ModelError, match="theme"):
        load_for_inference(tmp_path)
    save_file(state | {first: state[first][:-1].contiguous()}, str(path))
    with pytest.raises(ModelError, match="theme"):
        load_for_inference(tmp_path)
    path.unlink()
    with pytest.raises(ModelError, match="theme"):
        load_for_inference(tmp_path)


def test_a_language_model_that_lacks_a_layer_is_refused(tmp_path: Path) -> None:
    save_model(greedy(make_tiny()), tmp_path)
    path = tmp_path / "model.safetensors"
    state = load_file(str(path))
    save_file({key: value for key, value in state.items() if "layers.1.mlp.down" not in key}, str(path))
    with pytest.raises(ModelError, match="down_proj"):
        load_for_inference(tmp_path)


def test_loading_and_describing_do_not_wake_the_compiler(tmp_path: Path) -> None:
    """It takes seconds to import; torch's meta device does so unasked, to draw random numbers that are none."""
    save_model(greedy(make_tiny()), tmp_path)
    script = "\n".join(
        [
            "import sys, numpy, rsmoe_core",
            f"rsmoe_core.load({str(tmp_path)!r}).caption([numpy.zeros((9, 9, 3), numpy.uint8)])",
            "print(*sys.modules)",
        ]
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not {"torch._dynamo", "sympy", "transformers", "peft"} & set(loaded)
