from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rsmoe_cli.raster.dataset import open_dataset
from rsmoe_cli.tiles.prefetch import INITIAL_READERS, MAX_READERS, AdaptivePoolSize, JobHandler, ReaderPool, ReadingLog
from tests.cli.rasters import rgb


def pool_of(tmp_path: Path, read: Callable[[int], Any], **options: Any) -> ReaderPool[Sequence[int], Any]:
    """A pool whose jobs are numbers, one or several at a time."""
    handler = JobHandler(
        read=lambda dataset, job: [read(number) for number in job],
        split=lambda job: [[number] for number in job],
        fail=lambda job, error: f"{job}: {error}",
    )
    return ReaderPool(partial(open_dataset, rgb(tmp_path / "a.tif")), handler, **options)


def test_results_come_in_the_order_of_the_jobs_and_a_few_ahead(tmp_path: Path) -> None:
    started: list[int] = []

    def read(number: int) -> int:
        started.append(number)
        return number

    with pool_of(tmp_path, read, max_readers=4) as pool:
        for taken, result in enumerate(pool.in_order(([job] for job in range(100)), ahead=5)):
            assert result == [[taken]]
            assert max(started) <= taken + 5
    assert sorted(started) == list(range(100))


def test_a_job_that_fails_is_split_and_only_its_bad_part_is_lost(tmp_path: Path) -> None:
    def read(number: int) -> int:
        return 12 // number

    with pool_of(tmp_path, read, max_readers=1) as pool:
        assert list(pool.in_order([[1, 0, 2], [3], [0]], ahead=2)) == [
            [[12], "[0]: cannot be read: integer division or modulo by zero", [6]],
            [[4]],
            ["[0]: cannot be read: integer division or modulo by zero"],
        ]


def test_failures_are_retried_after_a_delay_until_it_is_hopeless(tmp_path: Path) -> None:
    attempts = []

    def read(number: int) -> int:
        attempts.append(number)
        if number < 20 or len(attempts) % 3:  # the last ones succeed at the third attempt
            raise MemoryError("no room")
        return number

    with pool_of(tmp_path, read, max_readers=1, retry_delays=(0, 0)) as pool:
        failed = list(pool.in_order(([job] for job in range(20)), ahead=1))
        assert failed == [[f"[{job}]: cannot be read: no room"] for job in range(20)]
    assert [attempts.count(job) for job in range(20)] == [3] * 8 + [1] * 12
    attempts.clear()
    with pool_of(tmp_path, read, max_readers=1, retry_delays=(0, 0)) as pool:
        assert list(pool.in_order([[20], [21]], ahead=1)) == [[[20]], [[21]]]


def test_a_pool_grows_only_while_it_waits_for_input() -> None:
    def sizes(wall: float, cpu: float, cores: int = 2) -> list[int]:
        size, counts = AdaptivePoolSize(2, 16, cores), []
        for _ in range(5):
            assert size.grow() == 0, "nothing is known about the pool at its present size"
            for _ in range(size.count):
                size.record(wall, cpu)
            size.grow()
            counts.append(size.count)
        return counts

    assert sizes(wall=1.0, cpu=0.05) == [4, 8, 16, 16, 16]
    assert sizes(wall=1.0, cpu=0.95) == [2] * 5, "decoding is what takes the time"
    assert sizes(wall=1.0, cpu=0.3) == [4, 8, 8, 8, 8], "eight threads would use two cores"
    assert sizes(wall=1.0, cpu=0.3, cores=64) == [4, 8, 16, 16, 16]


def test_readers_that_only_wait_become_more(tmp_path: Path) -> None:
    lock, active, most = threading.Lock(), 0, 0

    def read(number: int) -> int:
        nonlocal active, most
        with lock:
            active, most = active + 1, max(most, active + 1)
        pause.wait(0.02)
        with lock:
            active -= 1
        return number

    pause, log = threading.Event(), ReadingLog()
    with pool_of(tmp_path, read, log=log) as pool:
        assert [result for (result,) in pool.in_order(([job] for job in range(200)), 32)] == [[n] for n in range(200)]
    assert log.readers == MAX_READERS
    assert INITIAL_READERS < most <= MAX_READERS
    assert log.waited_seconds > 0


@pytest.mark.parametrize("most", [1, INITIAL_READERS])
def test_there_are_never_more_readers_than_allowed(tmp_path: Path, most: int) -> None:
    threads = set()

    def read(number: int) -> int:
        threads.add(threading.get_ident())
        threading.Event().wait(0.005)
        return number

    log = ReadingLog()
    with pool_of(tmp_path, read, log=log, max_readers=most) as pool:
        assert len(list(pool.in_order(([job] for job in range(40)), ahead=8))) == 40
    assert log.readers == most
    assert len(threads) <= most
