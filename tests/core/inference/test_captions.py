from __future__ import annotations

from collections.abc import Sequence

import pytest

from rsmoe_core.backends.base import Turn
from rsmoe_core.backends.native import NativeBackend
from rsmoe_core.checkpoint.load import for_inference
from rsmoe_core.config import DecodingConfig
from rsmoe_core.inference.ablations import FULL_MODEL
from rsmoe_core.inference.captions import as_sentence, caption_without_experts, describe, draft_captions
from rsmoe_core.model.moe import fuse
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, DEFAULT_EXPERTS, FUSION, ROUTER, default_prompts
from rsmoe_core.types import Description, Generation
from tests.core.fakes import FakeBackend, Text
from tests.tiny import random_patches

LIMITS = DecodingConfig(prompt_tokens=16, draft_tokens=8, caption_tokens=10)
TEXTS: dict[str, Text] = {
    ROUTER: "<objects> count the ships",
    "theme": "port",
    "objects": "two ships, a crane, two ships",
    "relations": "ships near a pier",
    FUSION: lambda image, turn: f"image {image} is a {turn.drafts['theme']} .",
    BASE: "a harbour .",
}


def describe_full(backend: FakeBackend, encoded: Sequence[int], images: Sequence[int]) -> list[Description]:
    described = describe(backend, encoded, images, DEFAULT_EXPERTS, LIMITS, [FULL_MODEL])
    return [description for (description,) in described]


def test_router_experts_and_fusion_build_on_each_other() -> None:
    backend = FakeBackend(TEXTS, confidence=0.25)
    second, first = describe_full(backend, [70, 80], [1, 0])
    assert (first.caption, second.caption) == ("Image 70 is a port.", "Image 80 is a port.")
    assert first.prompts == {**default_prompts(DEFAULT_EXPERTS), "objects": "count the ships"}
    assert first.drafts == {
        "theme": Generation("port", 0.25, 1),
        "objects": Generation("two ships, a crane", 0.25, 6),
        "relations": Generation("ships near a pier", 0.25, 4),
    }
    assert first.confidence == 0.25
    assert backend.turns_of(ROUTER) == [Turn(image, ROUTER, CAPTION_INSTRUCTION) for image in (1, 0)]
    assert backend.turns_of("objects") == [Turn(image, "objects", "count the ships") for image in (1, 0)]
    read = {"theme": "port", "objects": "two ships, a crane", "relations": "ships near a pier"}
    assert backend.turns_of(FUSION) == [Turn(image, FUSION, CAPTION_INSTRUCTION, read) for image in (1, 0)]
    assert backend.max_tokens == [LIMITS.prompt_tokens, LIMITS.draft_tokens, LIMITS.caption_tokens]


def test_an_unknown_confidence_stays_unknown() -> None:
    (description,) = describe_full(FakeBackend(TEXTS), [70], [0])
    assert description.confidence is None
    assert {draft.confidence for draft in description.drafts.values()} == {None}


@pytest.mark.parametrize("role", [ROUTER, "objects"])
def test_a_reply_that_cannot_be_used_is_recorded_and_the_others_are(role: str) -> None:
    backend = FakeBackend(TEXTS | {role: Generation("", error="the model wrote nothing")})
    (description,) = describe_full(backend, [70], [0])
    assert (description.caption, description.error) == ("Image 70 is a port.", None)
    assert description.problems == {role: "the model wrote nothing"}
    assert set(description.drafts) == set(DEFAULT_EXPERTS) - {role}
    assert role not in backend.turns_of(FUSION)[0].drafts


@pytest.mark.parametrize("role", [ROUTER, "objects", FUSION])
def test_a_request_that_failed_fails_the_description(role: str) -> None:
    backend = FakeBackend(TEXTS | {role: Generation("", error="no reply within 300 s", failed=True)})
    (description,) = describe_full(backend, [70], [0])
    assert description.error == "no reply within 300 s"


@pytest.mark.parametrize("generated", ["", "no marker", "<theme> <objects>"])
def test_experts_without_a_prompt_get_the_default_one(generated: str) -> None:
    backend = FakeBackend(TEXTS | {ROUTER: generated})
    prompts, _ = draft_captions(backend, [70], [0], DEFAULT_EXPERTS, LIMITS)
    assert prompts == [default_prompts(DEFAULT_EXPERTS)]


def test_without_a_router_every_expert_gets_its_default_prompt() -> None:
    backend = FakeBackend(TEXTS)
    prompts, drafts = draft_captions(backend, [70], [0], DEFAULT_EXPERTS, LIMITS, routed=False)
    assert prompts == [default_prompts(DEFAULT_EXPERTS)]
    assert [set(of_image) for of_image in drafts] == [set(DEFAULT_EXPERTS)]
    assert backend.turns_of(ROUTER) == []


def test_the_language_model_alone_captions_without_experts() -> None:
    backend = FakeBackend(TEXTS)
    assert caption_without_experts(backend, [70, 80], [1], LIMITS) == [Generation("a harbour .", None, 3)]
    assert backend.turns == [Turn(1, BASE, CAPTION_INSTRUCTION)]
    assert backend.max_tokens == [LIMITS.caption_tokens]


def test_lengths_keep_to_the_configuration(tiny_model: RSMoE) -> None:
    """Also for a router, experts and fusion that were never trained."""
    backend, limits = NativeBackend(for_inference(tiny_model)), tiny_model.config.decoding
    encoded = backend.encode_patches(random_patches())
    experts, images = tiny_model.config.experts, range(len(encoded))
    prompts, drafts = draft_captions(backend, encoded, images, experts, limits)
    for of_prompts, of_drafts in zip(prompts, drafts, strict=True):
        assert list(of_prompts) == list(of_drafts) == list(experts)
        assert all(of_prompts.values())
        assert all(draft.tokens <= limits.draft_tokens for draft in of_drafts.values())
    for caption in fuse(backend, encoded, images, [CAPTION_INSTRUCTION] * len(images), drafts, limits.caption_tokens):
        assert 0 < caption.tokens <= limits.caption_tokens
        assert 0 < caption.confidence <= 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a pond is near a road .", "A pond is near a road."),
        ("trees , houses", "Trees, houses."),
        ("", ""),
        ("où est le port ?", "Où est le port ?"),
        ("港口里有船。", "港口里有船。"),
        ("港口里有船", "港口里有船。"),
    ],
)
def test_captions_are_sentences(text: str, sentence: str) -> None:
    assert as_sentence(text) == sentence
