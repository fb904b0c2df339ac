"""How large a batch should be, measured while computing, and a batch spread over the processor's cores.

What a small language model computes for one token is too little for two cores to share: several cores at one batch wait
for each other. So each thread takes a part of the batch and computes that part alone. On a busy machine waiting costs
far more, since a core may be away for a time slice at each of the thousands of meetings: little work gets one core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

import torch

_GAIN = 0.9
"""A doubled batch is kept if an image then takes at most this share of the time."""
_MOST_THREADS = 8
"""With more cores than this, each thread gets several: all threads share one interpreter."""
_SHARED_FROM = 8
"""Items in a part of a batch from which several cores share the part, where a thread has several."""

Part = TypeVar("Part")
Result = TypeVar("Result")


class AdaptiveBatchSize:
    """Starts small, doubles while that makes images faster, and shrinks where memory does not suffice.

    Results do not depend on it.
    """

    def __init__(self, start: int, largest: int) -> None:
        """`largest` equal to `start` keeps the size fixed, as long as memory suffices."""
        self.current = start
        self._largest = largest
        self._warm = False
        self._previous: tuple[int, float] | None = None
        """The size before this one, and the seconds that an image took with it."""

    def record(self, images: int, seconds: float) -> None:
        """A batch took so long. Only full batches count, and not the very first, in which everything is cold."""
        if images != self.current or self.current >= self._largest:
            return
        if not self._warm:
            self._warm = True
            return
        each = seconds / images
        if self._previous is not None and each > _GAIN * self._previous[1]:
            self.current = self._largest = self._previous[0]
            return
        self._previous = self.current, each
        self.current = min(2 * self.current, self._largest)

    def record_out_of_memory(self, images: int) -> None:
        """A batch of so many images did not fit into memory; that size is not tried again."""
        self.current = self._largest = max(1, images // 2)


class ThreadPool:
    """Threads that compute side by side; a single one is the thread that calls it."""

    def __init__(self, cores: int) -> None:
        """`cores` are shared among as many threads as are useful."""
        self.count = min(cores, _MOST_THREADS)
        self._cores_each = cores // self.count
        self._pool: ThreadPoolExecutor | None = None

    def map(self, compute: Callable[[Sequence[Part]], list[Result]], batch: Sequence[Part]) -> list[Result]:
        """`compute` of the whole batch, which gives a result for each of its items, in their order."""
        parts = self._parts(batch)
        if self.count == 1 or not parts:
            return compute(batch)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.count, "rsmoe-worker")
        cores = self._cores_each if len(batch) >= _SHARED_FROM * self.count else 1

        def compute_part(part: Sequence[Part]) -> list[Result]:
            torch.set_num_threads(cores)  # of this thread only
            return compute(part)

        return [result for own in self._pool.map(compute_part, parts) for result in own]

    def _parts(self, batch: Sequence[Part]) -> list[Sequence[Part]]:
        """One part for each thread, of nearly the same size; none is empty."""
        edges = [len(batch) * number // self.count for number in range(self.count + 1)]
        return [batch[first:end] for first, end in pairwise(edges) if end > first]


@contextmanager
def one_core() -> Iterator[None]:
    """The calling thread computes on one core, for work of many small steps."""
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(cores)
