"""Where and in which precision to compute."""

from __future__ import annotations

import re
import time
from pathlib import Path

import torch

from rsmoe_core.errors import UsageError

PRECISIONS = ("auto", "bf16", "fp32")
_MATRIX_SIZE, _REPEATS = 512, 5


def find_device(name: str) -> str:
    """`auto` → a GPU where there is one, else `cpu`; any other name unchanged, once it is known to work.

    Raises:
        UsageError: the device cannot be used here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"device '{name}' cannot be used here; try --device cpu") from error
    return name


def uses_bf16(precision: str, device: str = "cpu") -> bool:
    """Whether `auto`, `bf16` or `fp32` means bfloat16 on this device.

    `auto` is measured, because processors without bfloat16 emulate it, many times slower.

    Raises:
        UsageError: there is no such precision.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"no precision '{precision}'; choose one of: {', '.join(PRECISIONS)}")
    if precision == "auto":
        return _matmul_seconds(torch.bfloat16, device) < _matmul_seconds(torch.float32, device)
    return precision == "bf16"


def _matmul_seconds(dtype: torch.dtype, device: str) -> float:
    """Best time of a forward and backward matrix product."""
    a = torch.ones(_MATRIX_SIZE, _MATRIX_SIZE, dtype=dtype, device=device, requires_grad=True)
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        (a @ a).sum().backward()
        a.grad.sum().item()  # type: ignore[union-attr]  # waits for a GPU to finish
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; on a processor torch has no exception type of its own for that."""
    is_memory_error = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return is_memory_error or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def release_memory(device: str) -> None:
    """Free the memory that torch holds on a GPU for later computations."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def available_memory(device: str) -> int | None:
    """Bytes that programs may still allocate on a device; None where the system does not say.

    On a processor that is what Linux counts as available, or what the limit of the control group leaves.
    """
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    if not device.startswith("cpu"):
        return None
    return min(filter(None, (_available_of_linux(), _available_of_control_group())), default=None)


def _available_of_linux() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _available_of_control_group() -> int | None:
    """What a container may still take; its caches of files count as free."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = int((folder / "memory.max").read_text()), int((folder / "memory.current").read_text())
        caches = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):  # no control group, or one without a limit
        return None
    return max(0, limit - used + (int(caches[1]) if caches else 0))
