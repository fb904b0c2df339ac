"""One training run in several processes, as `torchrun` or `accelerate launch` starts them.

A step's pictures are cut into processes x parts. Each process goes through its own parts one after the other, of which
only one is in memory at a time; then the gradients of all are added up, every part weighted by its share of the
pictures, and each process takes the same step from the same weights. Chance comes from (seed, step, part), so four
parts draw the same whether one process goes through them or four.

The first process alone writes files, keeps the log, validates and talks; what it makes for all, the others wait for.
All see the same folders: they run on one machine, or on several with a common file system.

Without a launcher there is one process, and everything here is as if it were not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from rsmoe_core.errors import RsmoeError

T = TypeVar("T")

_PATIENCE = timedelta(days=7)
"""The others wait this long: the first may compute features for hours."""


@contextmanager
def initialised(device: str) -> Iterator[str]:
    """Be one of the processes that a launcher started, if one did, and get the device that this one computes on."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield device
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo", timeout=_PATIENCE)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """Processes of this run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process; the first is 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_rank0() -> bool:
    """Whether this process writes and talks."""
    return rank() == 0


def from_rank0(make: Callable[[], T]) -> T:
    """What the first process makes, for all of them. A refusal reaches all of them too, so that none waits for ever."""
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


def rank_parts(images: NDArray[np.int64], accumulate: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(number, pictures) of the parts of a step that are this process's; of few pictures, some parts have none."""
    parts = np.array_split(images, world_size() * accumulate)
    for part in range(rank() * accumulate, (rank() + 1) * accumulate):
        if len(parts[part]):
            yield part, parts[part]


def reduce_gradients(loss: float, parameters: Sequence[nn.Parameter]) -> float:
    """Give every process the sum of all gradients, in place, and the sum of the losses."""
    if world_size() == 1:
        return loss
    here = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    # A parameter without a gradient in any process keeps none: the optimiser then leaves it alone.
    known = torch.tensor([float(p.grad is not None) for p in parameters], device=here[0].device)
    *gradients, known, losses = _summed([*here, known, known.new_tensor(loss)])
    for parameter, gradient, parts in zip(parameters, gradients, known.tolist(), strict=True):
        parameter.grad = gradient if parts else None
    return losses.item()


def average(statistics: Sequence[Tensor], share: float) -> None:
    """Make running figures the mean over all processes, in place, each weighted by its share of the step's pictures."""
    running = [value for value in statistics if value.is_floating_point()]  # counts of batches decide nothing
    if world_size() == 1 or not running:
        return
    for value, mean in zip(running, _summed([value * share for value in running]), strict=True):
        value.copy_(mean)


def _summed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The sum of each tensor over all processes, by way of one long vector: one message instead of hundreds."""
    vector = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(vector)
    pieces = vector.split([tensor.numel() for tensor in tensors])
    return [piece.view(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True)]
