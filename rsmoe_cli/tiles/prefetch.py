"""Threads that read ahead of whoever takes the results, which come in the order of the jobs.

    jobs ──▶ threads, one open file each ──▶ results, a list for each job

There are two of them, and more where they spend their time waiting for a disk or a network. What cannot be read is cut
into smaller jobs; what is still left over the network is tried again; what fails even so is told as a result.
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
from rsmoe_cli.raster.dataset import first_line, open_dataset, quiet_gdal

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

Job = TypeVar("Job")
Result = TypeVar("Result")

INITIAL_READERS = 2
"""Readers to begin with, and all that there are where decoding is what takes their time."""
MAX_READERS = 16
RETRY_DELAYS = (1.0, 4.0)
"""Seconds before each further try of what failed on a network; GDAL has tried several times by then."""
_HOPELESS = 8
"""Jobs lost one after the other, after which nothing is tried again until something succeeds."""


@dataclass
class ReadingLog:
    """What is known about the reading of a scene afterwards."""

    waited_seconds: float = 0.0
    """How long the one who took the results had to wait for them, all in all."""
    readers: int = 0
    """Threads that read in the end."""


@dataclass(frozen=True)
class Work(Generic[Job, Result]):
    """What readers do with a job; called from their threads."""

    read: Callable[[DatasetReader, Job], Result]
    """Reads; may raise anything."""
    split: Callable[[Job], Sequence[Job]]
    """Smaller jobs that make up one that failed; a single one if it is as small as it gets."""
    lose: Callable[[Job, str], Result]
    """The result of a job that cannot be done, and one line that says why."""


class Readers(Generic[Job, Result]):
    """A pool of threads; each takes an open file that no other is using, or opens one more."""

    def __init__(
        self,
        path: str,
        work: Work[Job, Result],
        log: ReadingLog | None = None,
        most: int = MAX_READERS,
        pauses: Sequence[float] = (),
    ) -> None:
        self._path, self._work, self._pauses = path, work, pauses
        self._log = log if log is not None else ReadingLog()
        self._crew = AdaptivePool(min(INITIAL_READERS, most), most)
        self._log.readers = self._crew.count
        self._seats = Semaphore(self._crew.count)
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="rsmoe-reader")
        self._idle: list[DatasetReader] = []
        self._closed = Event()
        self._lost_in_a_row = 0

    def __enter__(self) -> Readers[Job, Result]:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._pool.shutdown(cancel_futures=True)
        for dataset in self._idle:
            dataset.close()

    def in_order(self, jobs: Iterable[Job], ahead: int) -> Iterator[list[Result]]:
        """Yields the results of each job, in order; at most `ahead` jobs are begun that nobody took yet."""
        coming = (self._pool.submit(self._do, job) for job in jobs)
        waiting = deque(islice(coming, ahead))
        while waiting:
            yield self._take(waiting.popleft())
            waiting.extend(islice(coming, 1))

    def _take(self, future: Future[list[Result]]) -> list[Result]:
        if future.done():
            return future.result()
        added = self._crew.missed()
        if added:
            self._seats.release(added)
            self._log.readers = self._crew.count
        started = perf_counter()
        try:
            return future.result()
        finally:
            self._log.waited_seconds += perf_counter() - started

    def _do(self, job: Job) -> list[Result]:
        with self._seats:
            wall, busy = perf_counter(), thread_time()
            try:
                with quiet_gdal():
                    return self._attempt(job)
            finally:
                self._crew.finished(perf_counter() - wall, thread_time() - busy)

    def _attempt(self, job: Job) -> list[Result]:
        """One result; or several, where a job had to be split; or what is said of a job that is lost."""
        pauses = iter(self._pauses if self._lost_in_a_row < _HOPELESS else ())
        while not self._closed.is_set():
            try:
                result = self._read(job)
            except Exception as error:  # whatever went wrong is the misfortune of this job, not of the scene
                smaller = self._work.split(job)
                if len(smaller) > 1:
                    return [result for one in smaller for result in self._attempt(one)]
                if (pause := next(pauses, None)) is None:
                    self._lost_in_a_row += 1
                    return [self._work.lose(job, why(error))]
                self._closed.wait(pause)
            else:
                self._lost_in_a_row = 0
                return [result]
        return []

    def _read(self, job: Job) -> Result:
        """A file that failed is opened anew, since GDAL remembers failures."""
        dataset = self._open()
        try:
            result = self._work.read(dataset, job)
        except BaseException:
            dataset.close()
            raise
        self._idle.append(dataset)
        return result

    def _open(self) -> DatasetReader:
        try:
            return self._idle.pop()
        except IndexError:
            return open_dataset(self._path)


def why(error: Exception) -> str:
    """One line on why something cannot be read."""
    return str(error) if isinstance(error, SceneError) else f"cannot be read: {first_line(error)}"


class AdaptivePool:
    """Decides how many readers there are, from the time that they worked and that they only waited.

    It is doubled whenever results are missing, if the readers use less than half of their time, and less than three
    quarters of the processor cores together: more readers can only help where the others neither compute nor could.
    """

    def __init__(self, count: int, most: int, cores: int | None = None) -> None:
        self.count = count
        self._most, self._cores = most, cores or _cores()
        self._lock = Lock()
        self._forget()

    def _forget(self) -> None:
        self._jobs, self._wall, self._busy = 0, 0.0, 0.0

    def finished(self, wall: float, busy: float) -> None:
        """A job took `wall` seconds, `busy` of which a core was used."""
        with self._lock:
            self._jobs, self._wall, self._busy = self._jobs + 1, self._wall + wall, self._busy + busy

    def missed(self) -> int:
        """Somebody has to wait for a result: how many readers are to be added now."""
        with self._lock:
            if self._jobs < self.count:
                return 0
            share = self._busy / max(self._wall, 1e-9)
            self._forget()
            if share > 1 / 2 or share * self.count > self._cores * 3 / 4:
                return 0
            added = min(self.count, self._most - self.count)
            self.count += added
            return added


def _cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
