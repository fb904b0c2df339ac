from __future__ import annotations

import threading

import pytest
import torch

from rsmoe_core.inference.batching import ThreadPool


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [0, 1, 2, 7, 64])
def test_results_come_in_order_whatever_the_number_of_workers(count: int, size: int) -> None:
    parts: list[int] = []

    def compute(part):
        parts.append(len(part))
        return [number * number for number in part]

    assert ThreadPool(count).map(compute, range(size)) == [number * number for number in range(size)]
    assert sum(parts) == size
    assert len(parts) == max(1, min(count, size)), "each worker has a part, as far as there is something to do"
    assert max(parts) - min(parts) <= 1


def test_each_worker_computes_in_a_thread_of_its_own_with_its_share_of_the_cores() -> None:
    here, before = threading.get_ident(), torch.get_num_threads()
    together = threading.Barrier(2, timeout=30)

    def compute(part):
        together.wait()  # passes only if both parts are computed at the same time
        return [(threading.get_ident(), torch.get_num_threads())]

    said = ThreadPool(2, 1).map(compute, range(2))
    assert len({thread for thread, _ in said} | {here}) == 3
    assert [threads for _, threads in said] == [1, 1]
    assert torch.get_num_threads() == before


def test_an_error_in_a_part_is_the_batch_s() -> None:
    def compute(part):
        if 3 in part:
            raise ValueError("three")
        return list(part)

    workers = ThreadPool(2)
    with pytest.raises(ValueError, match="three"):
        workers.map(compute, range(4))
    assert workers.map(compute, range(3)) == [0, 1, 2]


def test_a_gpu_gets_its_batch_whole() -> None:
    assert ThreadPool.on("cuda:0").count == 1
    assert ThreadPool.on("cpu").count == min(8, torch.get_num_threads())
