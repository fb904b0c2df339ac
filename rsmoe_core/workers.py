"""A batch spread over the processor's cores: each thread takes a part of it and computes that part alone.

Most of what a small language model computes for one token is too little for two cores to share, so that several cores
at one batch wait for each other; with a part each they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import torch

_MOST = 8
"""Beyond this many threads, which share one interpreter, they rather have several cores each."""

Part = TypeVar("Part")
Result = TypeVar("Result")


class Workers:
    """Threads that compute side by side; a single worker computes in the thread that calls it."""

    def __init__(self, count: int, cores_each: int = 1) -> None:
        self.count = count
        self._cores_each = cores_each
        self._pool: ThreadPoolExecutor | None = None

    @classmethod
    def on(cls, device: str) -> Workers:
        """As many as this device has use for: a GPU wants its batch whole."""
        if not device.startswith("cpu"):
            return cls(1)
        cores = torch.get_num_threads()
        count = min(cores, _MOST)
        return cls(count, cores // count)

    def map(self, compute: Callable[[Sequence[Part]], list[Result]], batch: Sequence[Part]) -> list[Result]:
        """`compute` of the whole batch, which gives a result for each of its parts, in their order."""
        parts = self._parts(batch)
        if len(parts) <= 1:
            return compute(batch)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.count, "rsmoe-worker", torch.set_num_threads, (self._cores_each,))
        return [result for own in self._pool.map(compute, parts) for result in own]

    def _parts(self, batch: Sequence[Part]) -> list[Sequence[Part]]:
        """One part for each worker, of nearly the same size; none is empty."""
        edges = [len(batch) * number // self.count for number in range(self.count + 1)]
        return [batch[first:end] for first, end in pairwise(edges) if end > first]
