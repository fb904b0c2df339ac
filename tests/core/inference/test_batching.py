from __future__ import annotations

from rsmoe_core.inference.batching import AdaptiveBatchSize


def run(size: AdaptiveBatchSize, seconds_each: dict[int, float], batches: int = 12) -> list[int]:
    """The sizes that were used, on a machine where a picture takes so long in a batch of that size."""
    used = []
    for _ in range(batches):
        used.append(size.now)
        size.took(size.now, size.now * seconds_each[size.now])
    return used


def test_it_doubles_while_that_makes_pictures_faster() -> None:
    used = run(AdaptiveBatchSize(8, 64), {8: 1.0, 16: 0.6, 32: 0.59, 64: 0.1})
    assert used[:4] == [8, 8, 16, 32], "the first batch tells nothing"
    assert set(used[4:]) == {16}


def test_it_does_not_pass_its_limit() -> None:
    used = run(AdaptiveBatchSize(8, 32), {8: 1.0, 16: 0.5, 32: 0.25})
    assert used[:4] == [8, 8, 16, 32]
    assert set(used[4:]) == {32}


def test_a_fixed_size_stays() -> None:
    assert set(run(AdaptiveBatchSize(5, 5), {5: 1.0})) == {5}


def test_batches_that_are_not_full_tell_nothing() -> None:
    size = AdaptiveBatchSize(8, 64)
    for pictures in (3, 7, 1):
        size.took(pictures, 1.0)
    assert size.now == 8
    size.took(8, 1.0)
    size.took(3, 0.1)
    assert size.now == 8


def test_where_memory_does_not_suffice_it_shrinks_for_good() -> None:
    size = AdaptiveBatchSize(8, 64)
    run(size, {8: 1.0, 16: 0.5, 32: 0.2}, 3)
    size.was_too_large(32)
    assert set(run(size, {16: 0.1})) == {16}
    for pictures in (16, 8, 4, 2, 1):
        size.was_too_large(pictures)
    assert size.now == 1
