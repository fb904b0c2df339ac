from __future__ import annotations

import dataclasses

import pytest
from peft import get_peft_model_state_dict

from rsmoe_core.checkpoint.expected import expected_adapter, expected_language, meta_model
from rsmoe_core.checkpoint.load import base_state
from rsmoe_core.model.rsmoe import RSMoE
from tests.core.conftest import make_tiny


@pytest.fixture(scope="module")
def bare() -> RSMoE:
    return make_tiny(experts=False)


def test_expected_tensors_are_those_of_the_built_model(bare: RSMoE) -> None:
    model = meta_model(bare.config, bare.tokenizer)
    expected = {f"language.{key}": value for key, value in expected_language(bare.config.language).items()}
    expected |= {key: value for key, value in model.state_dict().items() if not key.startswith("detectors.")}
    assert {key: value.shape for key, value in expected.items()} == {
        key: value.shape for key, value in base_state(bare).items()
    }


@pytest.mark.parametrize("targets", [("q_proj", "down_proj"), ("gate_proj",)])
def test_an_expected_adapter_is_that_of_peft(targets: tuple[str, ...]) -> None:
    model = make_tiny(experts=False)
    model.config = dataclasses.replace(model.config, lora=dataclasses.replace(model.config.lora, targets=targets))
    model.add_experts()
    made = get_peft_model_state_dict(model.language, adapter_name="theme")
    expected = expected_adapter(model.config)
    assert {key: value.shape for key, value in expected.items()} == {key: value.shape for key, value in made.items()}


def test_expected_tensors_take_no_memory(bare: RSMoE) -> None:
    huge = dataclasses.replace(bare.config.language, hidden_size=16_384, vocab_size=1_000_000)
    assert all(tensor.is_meta for tensor in expected_language(huge).values())
