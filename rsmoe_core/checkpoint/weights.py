"""Weight files, in safetensors only: what a file holds is compared with what it should hold before a number is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from rsmoe_core.errors import ModelError

_FLOATS = {"F16", "BF16", "F32"}
_AGAIN = "copy the model folder again"


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Name → shape of every tensor in a weight file, from its head. Raises ModelError."""
    with _opened(path) as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - it is no mapping


def read_weights(path: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a weight file, real ones in float32; `wanted` has one of the right shape for each name.

    Those may lie on torch's `meta` device, where tensors have shapes and no numbers. Raises ModelError where a name, a
    shape or a type is another, and where a number is none.
    """
    with _opened(path) as file:
        held = set(file.keys())
        if odd := sorted(wanted.keys() - held) or sorted(held - wanted.keys()):
            raise _misfit(path, odd[0])
        for key, tensor in wanted.items():
            part = file.get_slice(key)
            kinds = _FLOATS if tensor.is_floating_point() else {"I64"}
            shape, dtype = list(part.get_shape()), part.get_dtype()
            if shape != list(tensor.shape) or dtype not in kinds:
                what = f"{key} is {shape} of {dtype}, not {list(tensor.shape)} of {' or '.join(sorted(kinds))}"
                raise _misfit(path, what)
        state = {}
        for key in wanted:
            value = file.get_tensor(key)
            state[key] = value.float() if value.is_floating_point() else value
            if not torch.isfinite(state[key]).all():
                raise ModelError(f"{path}: damaged ({key} holds what is no number); {_AGAIN}")
    return state


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A weight file; whatever safetensors raises on it becomes a ModelError."""
    try:
        with safe_open(str(path), "pt") as file:
            yield file
    except ModelError:
        raise
    except Exception as error:  # safetensors, torch and the system each raise their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: missing or damaged ({reason}); {_AGAIN}") from error


def _misfit(path: Path, first: str) -> ModelError:
    return ModelError(f"{path}: does not fit config.json (first difference: {first}); {_AGAIN}")
