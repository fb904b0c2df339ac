from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rsmoe_core.backends.base import Turn
from rsmoe_core.backends.native import NativeBackend, RoleDecoders
from rsmoe_core.checkpoint.load import for_inference
from rsmoe_core.model.language.decoder import DecodedSequence
from rsmoe_core.model.language.llama import TransformersDecoders
from rsmoe_core.model.moe import fusion_prompt, marker, split_parts
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import BASE, FUSION, ROUTER
from rsmoe_core.types import Request
from tests.tiny import language_models, make_tiny

LIMIT = 8
PROMPTS = ("describe the picture", "name the kind of place", "name the kind of place , and many green trees")


@pytest.fixture(scope="module")
def backend(tiny_model: RSMoE) -> NativeBackend:
    return NativeBackend(for_inference(tiny_model))


def vision_tokens(rows: int) -> Tensor:
    return torch.randn(rows, 4, 32, generator=torch.Generator().manual_seed(5))


def every_role(model: RSMoE) -> tuple[list[str], list[list[int]]]:
    """Each role with each prompt, and the prompts' ids."""
    rows = [(role, prompt) for prompt in PROMPTS for role in (*model.roles, BASE)]
    return [role for role, _ in rows], [model.tokenizer.prompt_ids(prompt) for _, prompt in rows]


def assert_alike(decoded: list[DecodedSequence], expected: list[DecodedSequence]) -> None:
    assert [sequence.ids for sequence in decoded] == [sequence.ids for sequence in expected]
    assert [s.confidence for s in decoded] == pytest.approx([s.confidence for s in expected], rel=1e-4)


@torch.inference_mode()
def test_decoders_give_what_transformers_generates_with_the_merged_weights(
    tiny_model: RSMoE, backend: NativeBackend
) -> None:
    roles, prompts = every_role(tiny_model)
    tokens, tokenizer = vision_tokens(len(roles)), tiny_model.tokenizer
    transformers = TransformersDecoders(language_models(tiny_model), tokenizer.pad)
    decoded = backend.decoders.generate(tokens, prompts, roles, LIMIT, tokenizer.eos)
    assert_alike(decoded, transformers.generate(tokens, prompts, roles, LIMIT, tokenizer.eos))


class MixedBatch(nn.Module):
    """A language model with adapters, as one that generates each row of a batch in another role."""

    def __init__(self, language: Any, roles: list[str]) -> None:
        super().__init__()
        self.language, self.roles = language, roles
        self.get_input_embeddings = language.get_input_embeddings

    def generate(self, **inputs: Any) -> Any:
        return self.language.generate(**inputs, adapter_names=self.roles)


@torch.inference_mode()
def test_decoders_give_what_one_batch_of_mixed_roles_gives_with_the_adapters(
    tiny_model: RSMoE, backend: NativeBackend
) -> None:
    roles, prompts = every_role(tiny_model)
    tokens, tokenizer = vision_tokens(1).expand(len(roles), -1, -1), tiny_model.tokenizer
    mixed = TransformersDecoders({"mixed": MixedBatch(tiny_model.language, roles)}, tokenizer.pad)
    decoded = backend.decoders.generate(tokens, prompts, roles, LIMIT, tokenizer.eos)
    assert_alike(decoded, mixed.generate(tokens, prompts, ["mixed"] * len(roles), LIMIT, tokenizer.eos))
    assert len({sequence.ids for sequence in decoded[: len(tiny_model.roles)]}) > 3, "roles generate different texts"


@torch.inference_mode()
def test_a_batch_of_mixed_roles_gives_what_each_role_gives_alone(tiny_model: RSMoE, backend: NativeBackend) -> None:
    roles, prompts = every_role(tiny_model)
    tokens, eos = vision_tokens(len(roles)), tiny_model.tokenizer.eos
    together = backend.decoders.generate(tokens, prompts, roles, LIMIT, eos)
    alone = [
        backend.decoders.generate(tokens[[row]], [prompts[row]], [roles[row]], LIMIT, eos)[0]
        for row in range(len(roles))
    ]
    assert_alike(together, alone)


def test_what_is_computed_is_counted_by_role(tiny_model: RSMoE) -> None:
    decoders = for_inference(tiny_model).language
    assert isinstance(decoders, RoleDecoders)
    prompt, eos = tiny_model.tokenizer.prompt_ids("name"), tiny_model.tokenizer.eos
    decoders.generate(vision_tokens(3), [prompt] * 3, ["theme", FUSION, "theme"], LIMIT, eos)
    assert set(decoders.counts) == {BASE, *tiny_model.roles}
    assert {role: counts.sequences for role, counts in decoders.counts.items() if counts.sequences} == {
        "theme": 2,
        FUSION: 1,
    }


def test_turns_are_about_their_own_images(backend: NativeBackend) -> None:
    encoded = vision_tokens(3)
    turns = [Turn(image, role, text) for image in (2, 0) for role in ("theme", ROUTER) for text in PROMPTS]
    together = backend.generate(encoded, turns, LIMIT)
    for turn, generation in zip(turns, together, strict=True):
        (alone,) = backend.generate(encoded[[turn.image]], [Turn(0, turn.role, turn.prompt)], LIMIT)
        assert (alone.text, alone.tokens) == (generation.text, generation.tokens)
        assert alone.confidence == pytest.approx(generation.confidence, rel=1e-4)
        assert 0 < alone.confidence <= 1
        assert 0 <= alone.tokens <= LIMIT
    assert len({generation.text for generation in together}) > len(PROMPTS)


class Canned(nn.Module):
    """Replaces the decoders: generates the same ids for every prompt, and records the prompts."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__()
        self.ids, self.prompts = tuple(ids), []

    def generate(self, tokens: Tensor, prompts: list[list[int]], *_: Any) -> list[DecodedSequence]:
        self.prompts += prompts
        return [DecodedSequence(self.ids, 0.5)] * len(prompts)


@pytest.fixture
def canned(tiny_model: RSMoE) -> NativeBackend:
    model = for_inference(tiny_model)
    model.language = Canned(tiny_model.tokenizer.encode("<theme> many trees <objects> a pond"))
    return NativeBackend(model)


def test_only_the_text_of_the_router_keeps_the_markers_of_experts(canned: NativeBackend) -> None:
    experts = canned.model.config.experts
    routed, drafted = canned.generate(vision_tokens(1), [Turn(0, ROUTER, "name"), Turn(0, "theme", "name")], LIMIT)
    assert split_parts(routed.text, experts) == {"theme": "many trees", "objects": "a pond"}
    assert not any(marker(name) in drafted.text for name in experts)
    assert drafted.tokens == routed.tokens == len(canned.model.language.ids)
    assert drafted.confidence == 0.5


def test_only_fusion_reads_drafts(canned: NativeBackend) -> None:
    drafts = {"relations": "trees near a pond", "theme": "park"}
    canned.generate(vision_tokens(1), [Turn(0, FUSION, "describe", drafts), Turn(0, "theme", "describe")], LIMIT)
    tokenizer, experts = canned.model.tokenizer, canned.model.config.experts
    assert canned.model.language.prompts == [
        tokenizer.prompt_ids(fusion_prompt("describe", drafts, experts)),
        tokenizer.prompt_ids("describe"),
    ]


def test_vision_tokens_do_not_depend_on_the_other_images(backend: NativeBackend, images: list[np.ndarray]) -> None:
    requests = [Request(image) for image in images]
    together = backend.encode(requests)
    assert together.shape == (len(images), 4, 32)
    alone = torch.cat([backend.encode([request]) for request in requests])
    assert torch.allclose(together, alone, atol=1e-5)


def test_sizes_of_batches_follow_from_the_device(tiny_model: RSMoE) -> None:
    model = for_inference(tiny_model)
    on_cpu, on_gpu = NativeBackend(model), NativeBackend(model, device="cuda:0")
    assert on_cpu.threads == torch.get_num_threads()
    assert on_gpu.threads == 1, "a GPU gets its batch whole"
    assert on_cpu.batch_sizes < on_gpu.batch_sizes
    assert NativeBackend(model, threads=3).threads == 3


def test_the_number_format_is_that_of_the_weights() -> None:
    model = for_inference(make_tiny())
    assert NativeBackend(model).dtype == "float32"
    assert NativeBackend(model.to(torch.bfloat16)).dtype == "bfloat16"
    assert NativeBackend(model).image_size == model.config.vision.image_size
