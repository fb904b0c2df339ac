from __future__ import annotations

import pytest

from rsmoe_core.model.experts import draft, without_repeats
from rsmoe_core.model.language.base import Turn
from rsmoe_core.roles import DEFAULT_EXPERTS
from rsmoe_core.types import Generation
from tests.core.fakes import FakeBackend


def echo(image: int, turn: Turn) -> str:
    return f"{turn.role} reads {turn.prompt} of image {image}"


def test_every_expert_answers_its_own_prompt_about_its_own_image() -> None:
    backend = FakeBackend(dict.fromkeys(DEFAULT_EXPERTS, echo), confidence=0.5)
    prompts = [{"theme": "name it", "objects": "count"}, {}, {"relations": "compare", "theme": "what"}]
    drafts = draft(backend, [70, 80, 90], [2, 0, 1], prompts, 8)
    texts = [{name: one.text for name, one in own.items()} for own in drafts]
    assert texts == [
        {"theme": "theme reads name it of image 90", "objects": "objects reads count of image 90"},
        {},
        {"relations": "relations reads compare of image 80", "theme": "theme reads what of image 80"},
    ]
    assert drafts[0]["theme"] == Generation("theme reads name it of image 90", 0.5, 7)
    assert backend.max_tokens == [8], "all experts generate in one batch"


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("a pond, some trees, a pond", "a pond, some trees"),
        ("trees near sea; trees near sea", "trees near sea"),
        ("a road , a road, two cars; a road", "a road, two cars"),
        ("farmland", "farmland"),
        ("", ""),
    ],
)
def test_a_repeated_phrase_is_dropped(text: str, once: str) -> None:
    assert without_repeats(Generation(text, 0.25, 9)) == Generation(once, 0.25, 9)
