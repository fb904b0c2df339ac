from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rsmoe_cli.tiles.prefetch import MAX_READERS, INITIAL_READERS, AdaptivePool, Readers, ReadingLog, Work
from tests.cli.rasters import rgb


def numbers(read: Callable[[int], Any]) -> Work[Sequence[int], Any]:
    """Jobs are numbers, one or several at a time."""
    return Work(
        read=lambda dataset, job: [read(one) for one in job],
        split=lambda job: [[one] for one in job],
        lose=lambda job, error: f"{job}: {error}",
    )


def test_results_come_in_the_order_of_the_jobs_and_a_few_ahead(tmp_path: Path) -> None:
    begun: list[int] = []

    def read(number: int) -> int:
        begun.append(number)
        return number

    with Readers(rgb(tmp_path / "a.tif"), numbers(read), most=4) as pool:
        for taken, result in enumerate(pool.in_order(([job] for job in range(100)), ahead=5)):
            assert result == [[taken]]
            assert max(begun) <= taken + 5
    assert sorted(begun) == list(range(100))


def test_a_job_that_fails_is_split_and_only_its_bad_part_is_lost(tmp_path: Path) -> None:
    def read(number: int) -> int:
        return 12 // number

    with Readers(rgb(tmp_path / "a.tif"), numbers(read), most=1) as pool:
        assert list(pool.in_order([[1, 0, 2], [3], [0]], ahead=2)) == [
            [[12], "[0]: cannot be read: integer division or modulo by zero", [6]],
            [[4]],
            ["[0]: cannot be read: integer division or modulo by zero"],
        ]


def test_what_has_pauses_is_tried_again_until_it_is_hopeless(tmp_path: Path) -> None:
    tries = []

    def read(number: int) -> int:
        tries.append(number)
        if number < 20 or len(tries) % 3:  # the last ones succeed at the third try
            raise MemoryError("no room")
        return number

    with Readers(rgb(tmp_path / "a.tif"), numbers(read), most=1, pauses=(0, 0)) as pool:
        lost = list(pool.in_order(([job] for job in range(20)), ahead=1))
        assert lost == [[f"[{job}]: cannot be read: no room"] for job in range(20)]
    assert [tries.count(job) for job in range(20)] == [3] * 8 + [1] * 12
    tries.clear()
    with Readers(rgb(tmp_path / "a.tif"), numbers(read), most=1, pauses=(0, 0)) as pool:
        assert list(pool.in_order([[20], [21]], ahead=1)) == [[[20]], [[21]]]


def test_a_crew_grows_only_while_it_waits_for_others() -> None:
    def sizes(wall: float, busy: float, cores: int = 2) -> list[int]:
        crew, counts = AdaptivePool(2, 16, cores), []
        for _ in range(5):
            assert crew.missed() == 0, "nothing is known about the crew as it is now"
            for _ in range(crew.count):
                crew.finished(wall, busy)
            crew.missed()
            counts.append(crew.count)
        return counts

    assert sizes(wall=1.0, busy=0.05) == [4, 8, 16, 16, 16]
    assert sizes(wall=1.0, busy=0.95) == [2] * 5, "decoding is what takes the time"
    assert sizes(wall=1.0, busy=0.3) == [4, 8, 8, 8, 8], "eight of them would use two cores"
    assert sizes(wall=1.0, busy=0.3, cores=64) == [4, 8, 16, 16, 16]


def test_readers_that_only_wait_become_more(tmp_path: Path) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def read(number: int) -> int:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        pause.wait(0.02)
        with lock:
            now -= 1
        return number

    pause, log = threading.Event(), ReadingLog()
    with Readers(rgb(tmp_path / "a.tif"), numbers(read), log) as pool:
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
    with Readers(rgb(tmp_path / "a.tif"), numbers(read), log, most=most) as pool:
        assert len(list(pool.in_order(([job] for job in range(40)), ahead=8))) == 40
    assert log.readers == most
    assert len(threads) <= most
