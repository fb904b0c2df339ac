from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pytest

from rsmoe_cli.pipeline.run import Outcome, ReadTile, batches, predict
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileFailure, TileImage, TileResult
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.types import Answer, Request


def sizes(groups: Iterable[Sequence[ReadTile[str]]]) -> list[str]:
    """The scenes of the tiles in each group; the end of a scene is a full stop."""
    return ["".join("." if item.result is None else item.key for item in group) for group in groups]


def tiles_of(*scenes: str) -> Iterator[ReadTile[str]]:
    """The tiles of some scenes, each named by as many letters as it has tiles; capital letters are blank tiles."""
    for scene in scenes:
        for letter, tile in zip(scene, Grid(max(1, len(scene)), 1, 1), strict=False):
            valid = np.full((1, 1), letter.islower())
            yield ReadTile(letter, result=TileImage(tile, np.zeros((1, 1, 3), np.uint8), valid, int(valid.sum()), 0))
        yield ReadTile(scene[:1])


def test_batches_have_a_bounded_number_of_tiles_and_lose_none() -> None:
    tiles = list(Grid(100, 1, 1))
    nothing = np.zeros((1, 1), bool)

    def result(index: int) -> TileResult:
        if index % 7 == 0:
            return TileFailure(tiles[index], "broken")
        return TileImage(tiles[index], np.zeros((1, 1, 3), np.uint8), nothing, index % 2 if index < 50 else 0, 0)

    groups = list(batches((ReadTile(None, result=result(index)) for index in range(100)), lambda: 4))
    results = [[item.result for item in group if item.result is not None] for group in groups]
    assert [item.tile for group in results for item in group] == tiles
    assert max(len(group) for group in results) <= 16
    visible = [sum(isinstance(item, TileImage) and item.valid_pixels > 0 for item in group) for group in results]
    assert max(visible) == 4


@pytest.mark.parametrize(
    ("scenes", "expected"),
    [
        (("aaaaaa",), ["aaaa", "aa."]),
        (("aaaa", "bb"), ["aaaa", ".", "bb."]),
        (("a", "bb", "cccc", "d"), ["a.bb.c", "ccc.d", "."]),
        (("a", "", "", "b"), ["a...b."]),
        (("", "a", ""), [".", "a.."]),
        (("", "", "aaaa", ""), [".", ".", "aaaa", ".", "."]),
        (("AAAAAAAA", "BBBBBBB", "c"), ["AAAAAAAA.BBBBBBB", ".", "c."]),
    ],
)
def test_scenes_share_batches_and_end_as_soon_as_their_last_tile_is_run(
    scenes: tuple[str, ...], expected: list[str]
) -> None:
    assert sizes(batches(tiles_of(*scenes), lambda: 4)) == expected


def test_the_end_of_a_scene_does_not_wait_for_scenes_that_are_slow_to_open(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def slowly() -> Iterator[ReadTile[str]]:
        for tile in tiles_of("a", "b", "cc", "d"):
            clock[0] += 4
            yield tile

    assert sizes(batches(slowly(), lambda: 4)) == ["a.b.", "cc.d."]


def test_what_fails_is_retried_by_request_and_then_by_question() -> None:
    bad, good = parse_question("How many ships?"), parse_question("How many cars?")
    calls: list[list[int]] = []

    def answer(requests: Sequence[Request]) -> list[tuple[Answer, ...]]:
        calls.append([len(request.questions) for request in requests])
        if any(bad in request.questions and request.image.any() for request in requests):
            raise RuntimeError("no ships\nsecond line")
        return [tuple(Answer(question.text, 1.0) for question in request.questions) for request in requests]

    black, white = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
    outcomes = predict(answer, [Request(image, questions=(bad, good)) for image in (black, white)])
    assert outcomes == [
        (Outcome(Answer(bad.text, 1.0)), Outcome(Answer(good.text, 1.0))),
        (Outcome(error="cannot be answered: no ships"), Outcome(Answer(good.text, 1.0))),
    ]
    assert calls == [[2, 2], [2], [2], [1], [1]]
    assert predict(answer, []) == []
