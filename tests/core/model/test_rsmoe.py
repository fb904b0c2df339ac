from __future__ import annotations

import torch

from rsmoe_core.backends.base import Turn
from rsmoe_core.backends.native import NativeBackend
from rsmoe_core.checkpoint.load import for_inference
from rsmoe_core.model.rsmoe import RSMoE, build
from rsmoe_core.roles import BASE, all_roles
from tests.tiny import make_tiny, randomise_adapters

INSTRUCTIONS = ["describe the picture", "name the kind of place , and describe the picture"]
PATCHES = 4


def test_a_model_is_built_alike_from_the_same_seed() -> None:
    model = make_tiny(seed=3, experts=False)
    torch.manual_seed(3)
    again = build(model.config, model.tokenizer).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in model.state_dict().items())


@torch.inference_mode()
def test_vision_tokens_do_not_depend_on_the_other_images_in_the_batch(tiny_model: RSMoE) -> None:
    patches = torch.randn(2, PATCHES, tiny_model.config.vision.feature_size)
    tokens = tiny_model.encode(patches, INSTRUCTIONS)
    assert tokens.shape == (2, tiny_model.config.qformer.queries, tiny_model.config.language.hidden_size)
    for image in range(2):
        alone = tiny_model.encode(patches[[image]], [INSTRUCTIONS[image]])
        assert torch.allclose(tokens[[image]], alone, atol=1e-6)


def test_experts_leave_the_language_model_without_adapters_as_it_was() -> None:
    model = make_tiny(experts=False)
    assert not model.has_experts
    tokens = torch.randn(2, 4, 32)
    turns = [Turn(image, BASE, text) for image, text in enumerate(INSTRUCTIONS)]
    before = NativeBackend(for_inference(model)).generate(tokens, turns, 10)
    model.add_experts()
    randomise_adapters(model)
    assert model.has_experts
    assert NativeBackend(for_inference(model.eval())).generate(tokens, turns, 10) == before


def test_a_model_has_the_roles_of_its_experts(tiny_model: RSMoE) -> None:
    assert tiny_model.roles == all_roles(tiny_model.config.experts)
