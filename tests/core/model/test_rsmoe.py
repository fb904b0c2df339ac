from __future__ import annotations

import torch

from rsmoe_core.model.rsmoe import build
from tests.core.conftest import make_tiny

INSTRUCTIONS = ["describe the picture", "name the kind of place , and describe the picture"]


def test_a_model_is_built_alike_from_the_same_seed() -> None:
    model = make_tiny(seed=3, experts=False)
    torch.manual_seed(3)
    again = build(model.config, model.tokenizer).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in model.state_dict().items())


@torch.inference_mode()
def test_vision_tokens_do_not_depend_on_the_pictures_beside() -> None:
    model = make_tiny()
    patches = torch.randn(2, model.config.vision.grid**2, model.config.vision.feature_size)
    tokens = model.encode(patches, INSTRUCTIONS)
    assert tokens.shape == (2, model.config.qformer.queries, model.config.language.hidden_size)
    for image in range(2):
        alone = model.encode(patches[[image]], [INSTRUCTIONS[image]])
        assert torch.allclose(tokens[[image]], alone, atol=1e-6)


def test_experts_leave_the_stage_1_answer_as_it_was() -> None:
    model = make_tiny(experts=False)
    assert not model.has_experts
    tokens = torch.randn(2, 4, 32)
    before = model.answer(tokens, INSTRUCTIONS)
    model.add_experts()
    with torch.no_grad():
        for name, parameter in model.language.named_parameters():
            if "lora_" in name:
                parameter.normal_()
    assert model.has_experts
    assert [w.ids for w in model.eval().answer(tokens, INSTRUCTIONS)] == [w.ids for w in before]


def test_lengths_keep_to_the_configuration() -> None:
    model = make_tiny()
    tokens, limits = torch.randn(2, 4, 32), model.config.decoding
    prompts, drafts = model.ask_experts(tokens, INSTRUCTIONS)
    assert all(set(own) == set(model.config.experts) for own in [*prompts, *drafts])
    for beams in (None, 1):
        assert all(0 < len(w.ids) <= limits.caption_tokens for w in model.fuse(tokens, INSTRUCTIONS, drafts, beams))
