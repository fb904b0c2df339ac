"""How many pictures to compute at a time: found while computing. Free of torch.

A batch spread over the processor's cores: each thread takes a part of it and computes that part alone.

Most of what a small language model computes for one token is too little for two cores to share, so that several cores
at one batch wait for each other; with a part each they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import torch

_GAIN = 0.9
"""A doubled batch is worth its memory if a picture then takes no more than this share of the time."""


class AdaptiveBatchSize:
    """Begins small, doubles while that makes pictures faster, and shrinks where memory does not suffice.

    What is said of a picture does not depend on it.
    """

    def __init__(self, start: int, most: int) -> None:
        """`most` equal to `start` keeps it as it is, as long as memory suffices."""
        self.now = start
        self._most = most
        self._warm = False
        self._before: tuple[int, float] | None = None
        """The size before this one, and the seconds that a picture took with it."""

    def took(self, pictures: int, seconds: float) -> None:
        """A batch was computed; only full ones tell anything, and the very first does not, as everything is cold."""
        if pictures != self.now or self.now >= self._most:
            return
        if not self._warm:
            self._warm = True
            return
        each = seconds / pictures
        if self._before is not None and each > _GAIN * self._before[1]:
            self.now = self._most = self._before[0]
            return
        self._before = self.now, each
        self.now = min(2 * self.now, self._most)

    def was_too_large(self, pictures: int) -> None:
        """A batch of so many pictures did not fit into memory; it will not be tried again."""
        self.now = self._most = max(1, pictures // 2)


_MOST = 8
"""Beyond this many threads, which share one interpreter, they rather have several cores each."""

Part = TypeVar("Part")
Result = TypeVar("Result")


class ThreadPool:
    """Threads that compute side by side; a single worker computes in the thread that calls it."""

    def __init__(self, count: int, cores_each: int = 1) -> None:
        self.count = count
        self._cores_each = cores_each
        self._pool: ThreadPoolExecutor | None = None

    @classmethod
    def on(cls, device: str) -> ThreadPool:
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
