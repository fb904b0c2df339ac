from __future__ import annotations

import torch

from rsmoe_core.checkpoint.inference import for_inference
from rsmoe_core.model.language.generation import RoleDecoders
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import CAPTION
from tests.tiny import make_tiny


def patches(count: int = 5) -> torch.Tensor:
    return torch.randn(count, 4, 32, generator=torch.Generator().manual_seed(0))


def everything(model: RSMoE) -> list[object]:
    """All that is written of five pictures: prompts, drafts, captions and what the bare language model says."""
    instructions = [CAPTION] * 5
    with torch.inference_mode():
        tokens_BQH = model.encode(patches(), instructions)
        prompts, drafts = model.ask_experts(tokens_BQH, instructions)
        fused = model.fuse(tokens_BQH, instructions, drafts, beams=1)
        bare = model.answer(tokens_BQH, instructions)
    return [prompts, drafts, [text.ids for text in fused], [text.ids for text in bare]]


def test_the_writer_says_what_the_model_says_in_every_role() -> None:
    model = make_tiny()
    writer = for_inference(model)
    assert isinstance(writer.language, RoleDecoders)
    assert everything(writer) == everything(model)
    _, _, fused, bare = everything(writer)
    assert fused != bare, "roles differ, or nothing is compared"


def test_a_model_of_stage_1_has_a_writer_too() -> None:
    model = make_tiny(experts=False)
    with torch.inference_mode():
        tokens_BQH = model.encode(patches(), [CAPTION] * 5)
    said, told = (own.answer(tokens_BQH, [CAPTION] * 5) for own in (for_inference(model), model))
    assert [text.ids for text in said] == [text.ids for text in told]


def test_a_writer_of_stage_1_keeps_its_weights_too() -> None:
    model = make_tiny(experts=False)
    writer = for_inference(model)
    with torch.inference_mode():
        tokens_BQH = model.encode(patches(), [CAPTION] * 5)
    before = writer.answer(tokens_BQH, [CAPTION] * 5)
    with torch.no_grad():
        for parameter in model.language.parameters():
            parameter.normal_(std=0.2)
    assert writer.answer(tokens_BQH, [CAPTION] * 5) == before
    assert for_inference(model).answer(tokens_BQH, [CAPTION] * 5) != before


def test_the_model_goes_on_learning_while_its_writer_stays() -> None:
    model = make_tiny()
    writer = for_inference(model)
    before = everything(writer)
    with torch.no_grad():
        for name, parameter in model.language.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.2)
    assert everything(writer) == before
    assert everything(for_inference(model)) != before
    assert model.language.training is False


def test_a_writer_is_where_its_model_is() -> None:
    """`meta` stands in for a GPU: what was left behind on the processor would not be there."""
    writer = for_inference(make_tiny().to("meta"))
    tensors = [*writer.parameters(), *writer.buffers()]
    assert len(tensors) > 100
    assert {tensor.device.type for tensor in tensors} == {"meta"}
