from __future__ import annotations

import pytest
import torch

from rsmoe_core.model import experts
from rsmoe_core.model.language.decoder import Generation
from rsmoe_core.model.language.generation import write
from rsmoe_core.model.rsmoe import RSMoE

PROMPTS = [{name: f"{name} of picture {number}" for name in ("theme", "objects", "relations")} for number in "ab"]


def test_every_expert_answers_its_own_prompt_for_its_own_picture(
    monkeypatch: pytest.MonkeyPatch, tiny_model: RSMoE
) -> None:
    tokenizer = tiny_model.tokenizer

    def write(_language, _codec, tokens, prompts, *, max_tokens, roles):
        pictures = ["ab"[int(picture)] for picture in tokens[:, 0, 0]]
        answers = [
            f"{role} reads {prompt} and sees {p}" for role, prompt, p in zip(roles, prompts, pictures, strict=True)
        ]
        return [Generation(tuple(tokenizer.encode(answer)), 1.0) for answer in answers]

    monkeypatch.setattr(experts, "write", write)
    tokens = torch.tensor([0.0, 1.0])[:, None, None].expand(2, 4, 32)
    drafts = experts.draft(tiny_model.language, tokenizer, tokens, PROMPTS, 8)
    for picture, own in zip("ab", drafts, strict=True):
        assert own == {
            name: f"{name} reads {name} of picture {picture} and sees {picture}" for name in tiny_model.config.experts
        }


def test_one_batch_says_what_each_expert_says_alone(tiny_model: RSMoE) -> None:
    tokens = torch.randn(2, 4, 32)
    drafts = experts.draft(tiny_model.language, tiny_model.tokenizer, tokens, PROMPTS, 8)
    for image, prompts in enumerate(PROMPTS):
        for name, prompt in prompts.items():
            (said,) = write(
                tiny_model.language, tiny_model.tokenizer, tokens[[image]], [prompt], max_tokens=8, roles=[name]
            )
            assert drafts[image][name] == experts.without_repeats(tiny_model.tokenizer.decode(said.ids))


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("a pond, some trees, a pond", "a pond, some trees"),
        ("trees near sea; trees near sea", "trees near sea"),
        ("a road , a road, two cars; a road", "a road, two cars"),
        ("farmland", "farmland"),
        ("", ""),
    ],
)
def test_a_phrase_is_said_once(written: str, kept: str) -> None:
    assert experts.without_repeats(written) == kept
