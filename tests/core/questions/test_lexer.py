from __future__ import annotations

import pytest

from rsmoe_core.questions.lexer import SceneDetection, Wording, wording_of


@pytest.mark.parametrize(
    ("question", "symbols", "things"),
    [
        (
            "how many white vesels can you see in the harbour?",
            "how many <0> can you see {in} <1>",
            [SceneDetection("ship", "white", True), SceneDetection("port", None, True)],
        ),
        # the longest spelling counts
        (
            "parks in the middle of a car park",
            "<0> {in the middle of} <1>",
            [SceneDetection("park", None, True), SceneDetection("parking lot", None, True)],
        ),
        # one word that is both an adjective and a thing
        (
            "a square building, a square",
            "<0> <1>",
            [SceneDetection("building", "square", True), SceneDetection("square", None, True)],
        ),
        ("is it residential?", "is <0>", [SceneDetection("residential area", None, True)]),
        (
            "a residential house",
            "<0> <1>",
            [SceneDetection("residential", None, False), SceneDetection("house", None, True)],
        ),
        # words in a row that mean nothing
        (
            "two polar bears near a ship",
            "<0> {near} <1>",
            [SceneDetection("two polar bears", None, False), SceneDetection("ship", None, True)],
        ),
        # a thing that is named twice
        (
            "ships or boats, cars or trees",
            "<0> <1> or <2>",
            [SceneDetection(name, None, True) for name in ("ship", "car", "tree")],
        ),
        # whose
        ("what's the ship's position", "what is <0> location", [SceneDetection("ship", None, True)]),
        # padding
        ("could you please tell me what is there in this satellite image?", "what is", []),
        ("can you see it in the picture", "can you see", []),
        ("what kind of area is in the photo", "what kind of place is", []),
        ("", "", []),
    ],
)
def test_symbols_of_a_question(question: str, symbols: str, things: list[SceneDetection]) -> None:
    assert wording_of(question) == Wording(symbols, things)
