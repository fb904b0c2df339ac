from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rsmoe_core.checkpoint.weights import read_weights, shapes_of
from rsmoe_core.errors import ModelError

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
