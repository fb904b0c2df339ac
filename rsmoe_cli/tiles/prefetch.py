"""Threads that read ahead of the consumer, which takes the results in the order of the jobs.

    jobs ──▶ threads, each with an open file of its own ──▶ a list of results for each job

There are two threads, and more where they mostly wait for a disk or a network. A job that fails is split into smaller
ones; those that still fail are tried again if the file is remote; what fails even so becomes a result that says why.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import Event, Lock, Semaphore
from time import perf_counter, thread_time
from typing import TYPE_CHECKING, Generic, TypeVar

from rsmoe_cli.errors import SceneError
from rsmoe_cli.raster.dataset import first_line, quiet_gdal

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

Job = TypeVar("Job")
Result = TypeVar("Result")

INITIAL_READERS = 2
"""Threads at the start; there are never more if they spend their time on decoding."""
MAX_READERS = 16
RETRY_DELAYS = (1.0, 4.0)
"""Seconds before each retry of what failed on a network; GDAL itself has retried several times by then."""
_HOPELESS = 8
"""Failed jobs in a row after which nothing is retried until a job succeeds."""


@dataclass
class ReadingLog:
    """Statistics of a pool."""

    waited_seconds: float = 0.0
    """Total time for which the consumer waited for results."""
    readers: int = 0
    """Threads at the end."""


@dataclass(frozen=True)
class JobHandler(Generic[Job, Result]):
    """What a pool does with its jobs; called from its threads."""

    read: Callable[[DatasetReader, Job], Result]
    """Reads the pixels of a job; may raise anything."""
    split: Callable[[Job], Sequence[Job]]
    """Splits a job that failed into smaller ones; returns a single one if that is not possible."""
    fail: Callable[[Job, str], Result]
    """The result of a job that failed for good, and one line on the cause."""


class ReaderPool(Generic[Job, Result]):
    """A pool of threads. Each takes an open file that no other thread is using, or opens one more."""

    def __init__(
        self,
        open_file: Callable[[], DatasetReader],
        handler: JobHandler[Job, Result],
        first: DatasetReader | None = None,
        log: ReadingLog | None = None,
        max_readers: int = MAX_READERS,
        retry_delays: Sequence[float] = (),
    ) -> None:
        """`first` is a file that has been opened already; the pool closes it together with its own."""
        self._open_file, self._handler, self._retry_delays = open_file, handler, retry_delays
        self._log = log if log is not None else ReadingLog()
        self._size = AdaptivePoolSize(min(INITIAL_READERS, max_readers), max_readers)
        self._log.readers = self._size.count
        self._slots = Semaphore(self._size.count)
        self._threads = ThreadPoolExecutor(max_readers, thread_name_prefix="rsmoe-reader")
        self._idle: list[DatasetReader] = [] if first is None else [first]
        self._closed = Event()
        self._failures_in_a_row = 0

    def __enter__(self) -> ReaderPool[Job, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._threads.shutdown(cancel_futures=True)
        for dataset in self._idle:
            dataset.close()

    def in_order(self, jobs: Iterable[Job], ahead: int) -> Iterator[list[Result]]:
        """Yields the results of each job, in order; starts at most `ahead` jobs before their results are taken."""
        futures = (self._threads.submit(self._run, job) for job in jobs)
        pending = deque(islice(futures, ahead))
        while pending:
            yield self._take(pending.popleft())
            pending.extend(islice(futures, 1))

    def _take(self, future: Future[list[Result]]) -> list[Result]:
        if future.done():
            return future.result()
        added = self._size.grow()
        if added:
            self._slots.release(added)
            self._log.readers = self._size.count
        started = perf_counter()
        try:
            return future.result()
        finally:
            self._log.waited_seconds += perf_counter() - started

    def _run(self, job: Job) -> list[Result]:
        with self._slots:
            wall, cpu = perf_counter(), thread_time()
            try:
                with quiet_gdal():
                    return self._attempt(job)
            finally:
                self._size.record(perf_counter() - wall, thread_time() - cpu)

    def _attempt(self, job: Job) -> list[Result]:
        """The result of a job; several if it had to be split; none if the pool has been closed."""
        delays = iter(self._retry_delays if self._failures_in_a_row < _HOPELESS else ())
        while not self._closed.is_set():
            try:
                result = self._read(job)
            except Exception as error:  # other jobs can still succeed
                parts = self._handler.split(job)
                if len(parts) > 1:
                    return [result for part in parts for result in self._attempt(part)]
                if (delay := next(delays, None)) is None:
                    self._failures_in_a_row += 1
                    return [self._handler.fail(job, failure_reason(error))]
                self._closed.wait(delay)
            else:
                self._failures_in_a_row = 0
                return [result]
        return []

    def _read(self, job: Job) -> Result:
        try:
            dataset = self._idle.pop()
        except IndexError:
            dataset = self._open_file()
        try:
            result = self._handler.read(dataset, job)
        except BaseException:
            dataset.close()  # GDAL remembers failures, so the next attempt needs a newly opened file
            raise
        self._idle.append(dataset)
        return result


class AdaptivePoolSize:
    """Decides how many threads a pool has, from the time that they spend and the processor time that they use.

    The number is doubled when the consumer has to wait while the threads use less than half of their time, and less
    than three quarters of the processor cores together; more threads help only if the existing ones are neither busy
    computing nor short of cores.
    """

    def __init__(self, count: int, max_count: int, cores: int | None = None) -> None:
        self.count = count
        self._max_count, self._cores = max_count, cores or _available_cores()
        self._lock = Lock()
        self._reset()

    def _reset(self) -> None:
        self._jobs, self._wall, self._cpu = 0, 0.0, 0.0

    def record(self, wall: float, cpu: float) -> None:
        """Records a job that took `wall` seconds, and `cpu` seconds of a core."""
        with self._lock:
            self._jobs, self._wall, self._cpu = self._jobs + 1, self._wall + wall, self._cpu + cpu

    def grow(self) -> int:
        """Call it when a result is missing; returns the number of threads to add now."""
        with self._lock:
            if self._jobs < self.count:
                return 0
            share = self._cpu / max(self._wall, 1e-9)
            self._reset()
            if share > 1 / 2 or share * self.count > self._cores * 3 / 4:
                return 0
            added = min(self.count, self._max_count - self.count)
            self.count += added
            return added


def failure_reason(error: Exception) -> str:
    """One line on why something could not be read."""
    return str(error) if isinstance(error, SceneError) else f"cannot be read: {first_line(error)}"


def _available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
