from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path

import pytest
import torch
from peft import get_peft_model_state_dict
from safetensors.torch import save_file

from rsmoe_core.checkpoint.load import base_state
from rsmoe_core.checkpoint.weights import expected_adapter, expected_language, read_weights, shapes_of
from rsmoe_core.errors import ModelError
from rsmoe_core.model.rsmoe import RSMoE, build_on_meta
from tests.tiny import make_tiny

EXPECTED = {"a": torch.empty(2, 3, device="meta"), "n": torch.empty((), dtype=torch.int64, device="meta")}
TENSORS = {"a": torch.ones(2, 3), "n": torch.tensor(7)}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_floats_are_read_as_float32_and_integers_unchanged(tmp_path: Path, dtype: torch.dtype) -> None:
    save_file({**TENSORS, "a": TENSORS["a"].to(dtype)}, tmp_path / "w")
    state = read_weights(tmp_path / "w", EXPECTED)
    assert state["a"].dtype == torch.float32
    assert torch.equal(state["a"], TENSORS["a"])
    assert state["n"] == 7


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"a": torch.ones(3, 2)}, r"a is \[3, 2\] of F32, not \[2, 3\]"),
        ({"a": torch.ones(2, 3, dtype=torch.int64)}, "a is .* of I64"),
        ({"a": torch.ones(2, 3, dtype=torch.float64)}, "a is .* of F64"),
        ({"n": torch.tensor(7.0)}, "n is .* of F32"),
        ({"b": torch.ones(1)}, "first difference: b"),
        ({"a": torch.tensor([[1, 2, 3], [4, float("nan"), 6]])}, "a holds what is no number"),
        ({"a": torch.tensor([[1, 2, 3], [4, float("-inf"), 6]])}, "a holds what is no number"),
        ({"a": torch.full((2, 3), float("inf"), dtype=torch.float16)}, "a holds what is no number"),
    ],
)
def test_an_unexpected_tensor_is_named(tmp_path: Path, change: dict[str, torch.Tensor], reason: str) -> None:
    save_file({**TENSORS, **change}, tmp_path / "w")
    with pytest.raises(ModelError, match=reason) as refused:
        read_weights(tmp_path / "w", EXPECTED)
    assert str(tmp_path / "w") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    save_file({"n": TENSORS["n"]}, tmp_path / "w")
    with pytest.raises(ModelError, match="first difference: a"):
        read_weights(tmp_path / "w", EXPECTED)


def raw(path: Path, header: object, body: bytes = b"", length: int | None = None) -> Path:
    content = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(content) if length is None else length) + content + body)
    return path


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [2**31, 2**31], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 2**60]},
        {"dtype": "F32", "shape": [-2, -3], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [2, 3], "data_offsets": [24, 0]},
        {"dtype": "O", "shape": [2, 3], "data_offsets": [0, 24]},
    ],
)
def test_a_wrong_header_is_refused_by_both_functions(tmp_path: Path, tensor: dict[str, object]) -> None:
    path = raw(tmp_path / "w", {"a": tensor}, bytes(24))
    for read in (lambda: read_weights(path, EXPECTED), lambda: shapes_of(path)):
        with pytest.raises(ModelError, match="missing or damaged"):
            read()


def test_a_wrong_header_length_is_refused(tmp_path: Path) -> None:
    for length in (2**63, 2**40, 0):
        with pytest.raises(ModelError, match="missing or damaged"):
            shapes_of(raw(tmp_path / "w", {}, length=length))


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "w")
    with pytest.raises(ModelError, match="missing or damaged"):
        read_weights(tmp_path / "w", EXPECTED)


@pytest.fixture(scope="module")
def bare() -> RSMoE:
    return make_tiny(experts=False)


def test_expected_tensors_are_those_of_the_built_model(bare: RSMoE) -> None:
    model = build_on_meta(bare.config, bare.tokenizer)
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
