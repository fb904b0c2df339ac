from __future__ import annotations

import threading

import pytest
import torch

from rsmoe_core.inference.batching import AdaptiveBatchSize, ThreadPool, one_core


def run(size: AdaptiveBatchSize, seconds_each: dict[int, float], batches: int = 12) -> list[int]:
    """The sizes that were used, on a machine where an image takes so long in a batch of that size."""
    used = []
    for _ in range(batches):
        used.append(size.current)
        size.record(size.current, size.current * seconds_each[size.current])
    return used


def test_it_doubles_while_that_makes_images_faster() -> None:
    used = run(AdaptiveBatchSize(8, 64), {8: 1.0, 16: 0.6, 32: 0.59, 64: 0.1})
    assert used[:4] == [8, 8, 16, 32], "the first batch is not measured"
    assert set(used[4:]) == {16}


def test_it_does_not_exceed_its_limit() -> None:
    used = run(AdaptiveBatchSize(8, 32), {8: 1.0, 16: 0.5, 32: 0.25})
    assert used[:4] == [8, 8, 16, 32]
    assert set(used[4:]) == {32}


def test_a_fixed_size_stays() -> None:
    assert set(run(AdaptiveBatchSize(5, 5), {5: 1.0})) == {5}


def test_batches_that_are_not_full_are_ignored() -> None:
    size = AdaptiveBatchSize(8, 64)
    for images in (3, 7, 1):
        size.record(images, 1.0)
    assert size.current == 8
    size.record(8, 1.0)
    size.record(3, 0.1)
    assert size.current == 8


def test_where_memory_does_not_suffice_it_shrinks_for_good() -> None:
    size = AdaptiveBatchSize(8, 64)
    run(size, {8: 1.0, 16: 0.5, 32: 0.2}, 3)
    size.record_out_of_memory(32)
    assert set(run(size, {16: 0.1})) == {16}
    for images in (16, 8, 4, 2, 1):
        size.record_out_of_memory(images)
    assert size.current == 1


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [0, 1, 2, 7, 64])
def test_results_are_in_order_whatever_the_number_of_threads(count: int, size: int) -> None:
    parts: list[int] = []

    def compute(part):
        parts.append(len(part))
        return [number * number for number in part]

    assert ThreadPool(count).map(compute, range(size)) == [number * number for number in range(size)]
    assert sum(parts) == size
    assert len(parts) == max(1, min(count, size)), "each thread has a part, as far as there is something to do"
    assert max(parts) - min(parts) <= 1


def test_each_thread_computes_with_its_share_of_the_cores() -> None:
    here, before = threading.get_ident(), torch.get_num_threads()
    both = threading.Barrier(2, timeout=30)

    def compute(part):
        both.wait()  # passes only if both parts are computed at the same time
        return [(threading.get_ident(), torch.get_num_threads())]

    computed = ThreadPool(2).map(compute, range(2))
    assert len({thread for thread, _ in computed} | {here}) == 3
    assert [cores for _, cores in computed] == [1, 1]
    assert torch.get_num_threads() == before


def test_an_error_in_a_part_is_an_error_of_the_batch() -> None:
    def compute(part):
        if 3 in part:
            raise ValueError("three")
        return list(part)

    threads = ThreadPool(2)
    with pytest.raises(ValueError, match="three"):
        threads.map(compute, range(4))
    assert threads.map(compute, range(3)) == [0, 1, 2]


@pytest.mark.parametrize(("cores", "count", "each"), [(1, 1, 1), (6, 6, 1), (8, 8, 1), (16, 8, 2), (21, 8, 2)])
def test_cores_are_shared_among_a_few_threads(cores: int, count: int, each: int) -> None:
    threads = ThreadPool(cores)
    assert threads.count == count
    for images in (1, count):
        alone = threads.map(lambda part: [torch.get_num_threads() for _ in part], range(images))
        assert count == 1 or set(alone) == {1}, "cores that wait for each other are slow on a busy machine"
    used = threads.map(lambda part: [torch.get_num_threads() for _ in part], range(64))
    if count > 1:
        assert set(used) == {each}


def test_one_core_is_for_the_block_only() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_core():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
