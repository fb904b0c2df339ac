from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsmoe_cli.pipeline.run import Outcome, batches, predict
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileFailure, TileImage, TileResult
from rsmoe_core.questions.parser import parse_question
from rsmoe_core.types import Request


def test_batches_have_a_bounded_number_of_tiles_and_lose_none() -> None:
    tiles = list(Grid(100, 1, 1))
    nothing = np.zeros((1, 1), bool)

    def result(index: int) -> TileResult:
        if index % 7 == 0:
            return TileFailure(tiles[index], "broken")
        return TileImage(tiles[index], np.zeros((1, 1, 3), np.uint8), nothing, index % 2 if index < 50 else 0, 0)

    groups = list(batches((result(index) for index in range(100)), lambda: 4))
    assert [item.tile for group in groups for item in group] == tiles
    assert max(len(group) for group in groups) <= 16
    visible = [sum(isinstance(item, TileImage) and item.valid_pixels > 0 for item in group) for group in groups]
    assert max(visible) == 4


def test_what_fails_is_retried_by_request_and_then_by_question() -> None:
    bad, good = parse_question("How many ships?"), parse_question("How many cars?")
    calls: list[list[int]] = []

    def answer(requests: Sequence[Request]) -> list[tuple[str, ...]]:
        calls.append([len(request.questions) for request in requests])
        if any(bad in request.questions and request.image.any() for request in requests):
            raise RuntimeError("no ships\nsecond line")
        return [tuple(question.text for question in request.questions) for request in requests]

    black, white = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
    outcomes = predict(answer, [Request(image, questions=(bad, good)) for image in (black, white)])
    assert outcomes == [
        (Outcome(bad.text), Outcome(good.text)),
        (Outcome(error="cannot be answered: no ships"), Outcome(good.text)),
    ]
    assert calls == [[2, 2], [2], [2], [1], [1]]
    assert predict(answer, []) == []
