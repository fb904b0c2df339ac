from __future__ import annotations

import pytest

from rsmoe_core.model.language.base import Turn
from rsmoe_core.model.router import route
from rsmoe_core.roles import DEFAULT_EXPERTS, ROUTER
from tests.core.fakes import FakeBackend


@pytest.mark.parametrize(
    ("generated", "prompts"),
    [
        (
            "<theme> name the port <objects> count the ships <relations> what is near the pier",
            {"theme": "name the port", "objects": "count the ships", "relations": "what is near the pier"},
        ),
        ("<objects> count the ships", {"objects": "count the ships"}),
        ("<theme> <objects> count the ships", {"objects": "count the ships"}),
        ("count the ships", {}),
        ("", {}),
    ],
    ids=["all", "one", "empty part", "no marker", "nothing"],
)
def test_experts_that_the_router_left_out_have_no_prompt(generated: str, prompts: dict[str, str]) -> None:
    backend = FakeBackend({ROUTER: generated})
    assert route(backend, [0, 1], [1, 0], ["describe", "any ships?"], DEFAULT_EXPERTS, 16) == [prompts] * 2
    assert backend.turns == [Turn(1, ROUTER, "describe"), Turn(0, ROUTER, "any ships?")]
    assert backend.max_tokens == [16]
