from __future__ import annotations

import torch

from rsmoe_core.model.fusion import fuse, fusion_prompt
from rsmoe_core.model.rsmoe import RSMoE

DRAFTS = {"relations": "trees near a pond", "theme": "park"}


def test_the_prompt_holds_instruction_and_drafts_in_the_experts_order(tiny_model: RSMoE) -> None:
    prompt = fusion_prompt(tiny_model.tokenizer, "describe", DRAFTS)
    assert prompt == "describe <theme> park <relations> trees near a pond"
    assert fusion_prompt(tiny_model.tokenizer, "describe", {}).strip() == "describe"


def test_pictures_are_fused_each_by_itself(tiny_model: RSMoE) -> None:
    language, tokenizer, tokens = tiny_model.language, tiny_model.tokenizer, torch.randn(2, 4, 32)
    instructions, drafts = ["describe the picture"] * 2, [DRAFTS, {"objects": "many buildings and some green trees"}]
    together = fuse(language, tokenizer, tokens, instructions, drafts, max_tokens=8, beams=2)
    for image in range(2):
        (alone,) = fuse(
            language, tokenizer, tokens[[image]], ["describe the picture"], [drafts[image]], max_tokens=8, beams=2
        )
        assert together[image].ids == alone.ids


def test_drafts_are_read(tiny_model: RSMoE) -> None:
    language, tokenizer, tokens = tiny_model.language, tiny_model.tokenizer, torch.randn(1, 4, 32)
    said = [
        fuse(language, tokenizer, tokens, ["describe"], [drafts], max_tokens=8, beams=1)[0]
        for drafts in (DRAFTS, {"objects": "many airplanes"})
    ]
    assert said[0] != said[1]
