"""One training run in several processes, as `torchrun` or `accelerate launch` start them.

The images of a step are cut into processes x parts. Each process goes through its own parts one after the other, with
one of them in memory at a time. Then the gradients of all are added up, each part weighted by its share of the images,
and each process takes the same step from the same weights. Random numbers come from (seed, step, part), so four parts
draw the same numbers whether one process goes through them or four.

The process of rank 0 alone writes files, keeps the log, validates and reports; the others wait for what it makes. All
see the same folders: they run on one machine, or on several with a common file system.

Without a launcher there is one process, and everything here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from rsmoe_core.errors import RsmoeError

T = TypeVar("T")

_TIMEOUT = timedelta(days=7)
"""How long processes wait for each other: rank 0 may compute features for hours."""


@contextmanager
def initialised(device: str) -> Iterator[str]:
    """Join the process group if a launcher started this process; yields the device that this process computes on."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield device
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo", timeout=_TIMEOUT)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """Number of processes of this run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process; the first is 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_rank0() -> bool:
    """Whether this process writes files and reports."""
    return rank() == 0


def from_rank0(make: Callable[[], T]) -> T:
    """What `make` returns on rank 0, for all processes. An RsmoeError is raised in all of them, so that none waits."""
    if world_size() == 1:
        return make()
    made: list = [None, None]
    if is_rank0():
        try:
            made[0] = make()
        except RsmoeError as error:
            made[1] = error
    dist.broadcast_object_list(made)
    if made[1] is not None:
        raise made[1]
    return made[0]


def from_all(make: Callable[[], T]) -> T:
    """What `make` returns on rank 0 while the others compute the same, for weights that are spread over all."""
    made = make()
    return from_rank0(lambda: made)


def union(names: Sequence[str]) -> list[str]:
    """The names of all processes, in an order that is the same for all."""
    gathered: list[Any] = [None] * world_size()
    dist.all_gather_object(gathered, list(names))
    return sorted({name for own in gathered for name in own})


def rank_parts(
    images: NDArray[np.int64], accumulate: int, *, in_step: bool = False
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(number, images) of the parts of a step that this process goes through.

    Parts without images are left out, unless all processes have to go through as many.
    """
    parts = np.array_split(images, world_size() * accumulate)
    for part in range(rank() * accumulate, (rank() + 1) * accumulate):
        if len(parts[part]) or in_step:
            yield part, parts[part]


def reduce_gradients(loss: float, parameters: Sequence[nn.Parameter]) -> float:
    """Replace the gradients by their sums over all processes, and return the sum of the losses."""
    if world_size() == 1:
        return loss
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    # A parameter that has no gradient in any process keeps none, so that the optimiser leaves it alone.
    has_gradient = torch.tensor([float(p.grad is not None) for p in parameters], device=gradients[0].device)
    *gradients, has_gradient, losses = _all_reduced([*gradients, has_gradient, has_gradient.new_tensor(loss)])
    for parameter, gradient, processes in zip(parameters, gradients, has_gradient.tolist(), strict=True):
        parameter.grad = gradient if processes else None
    return losses.item()


def average_buffers(buffers: Sequence[Tensor], share: float) -> None:
    """Replace running statistics by their mean over all processes, weighted by the processes' shares of the images."""
    running = [value for value in buffers if value.is_floating_point()]  # counts of batches have no effect
    if world_size() == 1 or not running:
        return
    for value, mean in zip(running, _all_reduced([value * share for value in running]), strict=True):
        value.copy_(mean)


def _all_reduced(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The sum of each tensor over all processes, by one message instead of hundreds."""
    vector = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(vector)
    sums = vector.split([tensor.numel() for tensor in tensors])
    return [value.view(tensor.shape) for value, tensor in zip(sums, tensors, strict=True)]
