from __future__ import annotations

import dataclasses

import pytest
from peft import get_peft_model_state_dict

from rsmoe_core.checkpoint import expected
from rsmoe_core.checkpoint.load import base_state
from rsmoe_core.model.rsmoe import RSMoE
from tests.core.conftest import make_tiny


@pytest.fixture(scope="module")
def bare() -> RSMoE:
    return make_tiny(experts=False)


def test_what_is_promised_is_what_is_built(bare: RSMoE) -> None:
    meta_model = expected.meta_model(bare.config, bare.tokenizer)
    promised = {f"language.{key}": value for key, value in expected.language(bare.config.language).items()}
    promised |= {key: value for key, value in meta_model.state_dict().items() if not key.startswith("detectors.")}
    assert {key: value.shape for key, value in promised.items()} == {
        key: value.shape for key, value in base_state(bare).items()
    }


@pytest.mark.parametrize("targets", [("q_proj", "down_proj"), ("gate_proj",)])
def test_an_adapter_is_what_peft_makes(targets: tuple[str, ...]) -> None:
    model = make_tiny(experts=False)
    model.config = dataclasses.replace(model.config, lora=dataclasses.replace(model.config.lora, targets=targets))
    model.add_experts()
    made = get_peft_model_state_dict(model.language, adapter_name="theme")
    promised = expected.adapter(model.config)
    assert {key: value.shape for key, value in promised.items()} == {key: value.shape for key, value in made.items()}


def test_a_promise_takes_no_memory(bare: RSMoE) -> None:
    huge = dataclasses.replace(bare.config.language, hidden_size=16_384, vocab_size=1_000_000)
    assert all(tensor.is_meta for tensor in expected.language(huge).values())
