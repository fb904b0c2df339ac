from __future__ import annotations

import pytest
import torch

from rsmoe_core.model import router
from rsmoe_core.model.language.decoder import Generation
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import DEFAULT_PROMPTS, ROUTER


@pytest.mark.parametrize(
    ("written", "own"),
    [
        ("<theme> name the port <objects> count the ships <relations> what is near the pier", None),
        ("<objects> count the ships", {"objects": "count the ships"}),
        ("<theme> <objects> count the ships", {"objects": "count the ships"}),
        ("count the ships", {}),
        ("", {}),
    ],
    ids=["all", "one", "empty part", "no mark", "nothing"],
)
def test_an_expert_that_was_left_out_is_asked_its_plain_question(
    monkeypatch: pytest.MonkeyPatch, tiny_model: RSMoE, written: str, own: dict[str, str] | None
) -> None:
    tokenizer = tiny_model.tokenizer

    def write(_language, _codec, _tokens, instructions, *, max_tokens, roles):
        assert roles == [ROUTER] * len(instructions)
        assert max_tokens == 16
        return [Generation(tuple(tokenizer.encode(written)), 1.0) for _ in instructions]

    monkeypatch.setattr(router, "write", write)
    if own is None:
        own = {"theme": "name the port", "objects": "count the ships", "relations": "what is near the pier"}
    prompts = router.route(tiny_model.language, tokenizer, torch.zeros(2, 4, 32), ["describe"] * 2, 16)
    assert prompts == [{**DEFAULT_PROMPTS, **own}] * 2


def test_every_expert_gets_a_prompt_from_an_untrained_router(tiny_model: RSMoE) -> None:
    tokens = torch.randn(3, 4, 32)
    for prompts in router.route(tiny_model.language, tiny_model.tokenizer, tokens, ["describe the picture"] * 3, 16):
        assert list(prompts) == list(tiny_model.config.experts)
        assert all(prompts.values())
