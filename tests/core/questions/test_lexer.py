from __future__ import annotations

import pytest

from rsmoe_core.questions.lexer import LexedQuestion, ObjectMention, lex


@pytest.mark.parametrize(
    ("question", "tokens", "mentions"),
    [
        (
            "how many white vesels can you see in the harbour?",
            "how many <0> can you see {in} <1>",
            [ObjectMention("ship", "white", True), ObjectMention("port", None, True)],
        ),
        # the longest spelling counts
        (
            "parks in the middle of a car park",
            "<0> {in the middle of} <1>",
            [ObjectMention("park", None, True), ObjectMention("parking lot", None, True)],
        ),
        # one word that is both an adjective and an object
        (
            "a square building, a square",
            "<0> <1>",
            [ObjectMention("building", "square", True), ObjectMention("square", None, True)],
        ),
        ("is it residential?", "is <0>", [ObjectMention("residential area", None, True)]),
        (
            "a residential house",
            "<0> <1>",
            [ObjectMention("residential", None, False), ObjectMention("house", None, True)],
        ),
        # unknown words in a row
        (
            "two polar bears near a ship",
            "<0> {near} <1>",
            [ObjectMention("two polar bears", None, False), ObjectMention("ship", None, True)],
        ),
        # an object that is named twice
        (
            "ships or boats, cars or trees",
            "<0> <1> or <2>",
            [ObjectMention(name, None, True) for name in ("ship", "car", "tree")],
        ),
        # bounds
        ("are there more than five ships", "is [at least 6] <0>", [ObjectMention("ship", None, True)]),
        # ships are nowhere but on the water
        (
            "ships on the water",
            "<0>",
            [ObjectMention("ship", None, True), ObjectMention("water", None, True)],
        ),
        # whose
        ("what's the ship's position", "what is <0> location", [ObjectMention("ship", None, True)]),
        # padding
        ("could you please tell me what is there in this satellite image?", "what is", []),
        ("can you see it in the picture", "can you see", []),
        ("what kind of area is in the photo", "what kind of place is", []),
        ("", "", []),
    ],
)
def test_tokens_of_a_question(question: str, tokens: str, mentions: list[ObjectMention]) -> None:
    assert lex(question) == LexedQuestion(tokens, mentions)
