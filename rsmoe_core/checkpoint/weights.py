"""Weight files, in safetensors only: names, shapes and types are checked before any data is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from rsmoe_core.errors import ModelError

_FLOAT_TYPES = {"F16", "BF16", "F32"}
_REMEDY = "copy the model folder again"


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Name → shape of every tensor in a weight file, from its header.

    Raises:
        ModelError: the file is missing or damaged.
    """
    with _open_weights(path) as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - it is no mapping


def read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a weight file, real ones in float32.

    `expected` has a tensor of the right shape and type for each name; they may be on torch's `meta` device.

    Raises:
        ModelError: the file is missing or damaged, a name, a shape or a type differs, or a value is not finite.
    """
    with _open_weights(path) as file:
        present = set(file.keys())
        if odd := sorted(expected.keys() - present) or sorted(present - expected.keys()):
            raise _mismatch(path, odd[0])
        for key, tensor in expected.items():
            part = file.get_slice(key)
            types = _FLOAT_TYPES if tensor.is_floating_point() else {"I64"}
            shape, dtype = list(part.get_shape()), part.get_dtype()
            if shape != list(tensor.shape) or dtype not in types:
                what = f"{key} is {shape} of {dtype}, not {list(tensor.shape)} of {' or '.join(sorted(types))}"
                raise _mismatch(path, what)
        state = {}
        for key in expected:
            value = file.get_tensor(key)
            state[key] = value.float() if value.is_floating_point() else value
            if not torch.isfinite(state[key]).all():
                raise ModelError(f"{path}: damaged ({key} holds what is no number); {_REMEDY}")
    return state


@contextmanager
def _open_weights(path: Path) -> Iterator[Any]:
    """A weight file; whatever safetensors raises on it becomes a ModelError."""
    try:
        with safe_open(str(path), "pt") as file:
            yield file
    except ModelError:
        raise
    except Exception as error:  # safetensors, torch and the system each raise their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: missing or damaged ({reason}); {_REMEDY}") from error


def _mismatch(path: Path, first: str) -> ModelError:
    return ModelError(f"{path}: does not fit config.json (first difference: {first}); {_REMEDY}")
