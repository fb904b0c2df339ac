"""Where and in which precision to compute."""

from __future__ import annotations

import time

import torch

from rsmoe_core.errors import UsageError

PRECISIONS = ("auto", "bf16", "fp32")
_SIDE, _REPEATS = 512, 5


def find_device(name: str) -> str:
    """`auto` → a GPU where there is one, else `cpu`; any other name as it is, once it is seen to work.

    Raises UsageError for a device that cannot be used here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"device '{name}' cannot be used here; try --device cpu") from error
    return name


def uses_bf16(precision: str, device: str = "cpu") -> bool:
    """Settle `auto`, `bf16` or `fp32`; `auto` is measured, because processors without bfloat16 emulate it, many times
    slower. Raises UsageError for anything else.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"no precision '{precision}'; choose one of: {', '.join(PRECISIONS)}")
    if precision == "auto":
        return _product_seconds(torch.bfloat16, device) < _product_seconds(torch.float32, device)
    return precision == "bf16"


def _product_seconds(dtype: torch.dtype, device: str) -> float:
    """Best time of a forward and backward matrix product."""
    a = torch.ones(_SIDE, _SIDE, dtype=dtype, device=device, requires_grad=True)
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        (a @ a).sum().backward()
        a.grad.sum().item()  # type: ignore[union-attr]  # waits for a GPU to be done
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice; on a processor torch has no kind of its own for it."""
    lacking = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return lacking or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def release_memory(device: str) -> None:
    """Give back what a GPU holds for computations to come."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
