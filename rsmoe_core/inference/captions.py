"""Encoded images → Descriptions: router, experts and fusion, over any backend.

encoded ─router─▶ RoutedPrompts ─experts─▶ ExpertDrafts ─fusion─▶ Description
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType

from rsmoe_core.backends.base import Backend, Encoded, Turn
from rsmoe_core.config import DecodingConfig
from rsmoe_core.inference.ablations import Ablation
from rsmoe_core.model.moe import ExpertDrafts, RoutedPrompts, draft, fuse, route, split_parts, without_repeats
from rsmoe_core.roles import BASE, CAPTION_INSTRUCTION, ROUTER, default_prompts
from rsmoe_core.types import Description, Generation
from rsmoe_core.words.replies import ended


def describe(
    backend: Backend,
    encoded: Encoded,
    images: Sequence[int],
    experts: Sequence[str],
    limits: DecodingConfig,
    ablations: Sequence[Ablation],
    instruction: str = CAPTION_INSTRUCTION,
) -> list[list[Description]]:
    """For each of the images (indices into `encoded`) a description by each ablation; what they share is done once."""
    drafted = {
        routed: draft_captions(backend, encoded, images, experts, limits, routed=routed, instruction=instruction)
        for routed in {ablation.router for ablation in ablations if ablation.output != "base"}
    }
    nothing: tuple[list[RoutedPrompts], list[ExpertDrafts]] = [{} for _ in images], [{} for _ in images]
    described = [
        _finish(backend, encoded, images, limits, ablation, instruction, *drafted.get(ablation.router, nothing))
        for ablation in ablations
    ]
    return [list(by_ablation) for by_ablation in zip(*described, strict=True)]


def draft_captions(
    backend: Backend,
    encoded: Encoded,
    images: Sequence[int],
    experts: Sequence[str],
    limits: DecodingConfig,
    *,
    routed: bool = True,
    instruction: str = CAPTION_INSTRUCTION,
) -> tuple[list[RoutedPrompts], list[ExpertDrafts]]:
    """The prompt of every expert for each image, and its draft.

    An expert that the router left out gets its default prompt; so does every expert if not `routed`. A router whose
    text cannot be used is among the drafts, with its error.
    """
    prompts: list[RoutedPrompts] = [default_prompts(experts) for _ in images]
    errors: list[ExpertDrafts] = [{} for _ in images]
    if routed:
        written = route(backend, encoded, images, [instruction] * len(images), limits.prompt_tokens)
        prompts = [default | split_parts(own.text, experts) for default, own in zip(prompts, written, strict=True)]
        errors = [{} if own.error is None else {ROUTER: own} for own in written]
    drafts = draft(backend, encoded, images, prompts, limits.draft_tokens)
    return prompts, [
        error | {name: without_repeats(text) for name, text in own.items()}
        for error, own in zip(errors, drafts, strict=True)
    ]


def caption_without_experts(
    backend: Backend,
    encoded: Encoded,
    images: Sequence[int],
    limits: DecodingConfig,
    instruction: str = CAPTION_INSTRUCTION,
) -> list[Generation]:
    """The captions of the stage-1 language model alone, or of a base without any adapter."""
    return backend.generate(encoded, [Turn(image, BASE, instruction) for image in images], limits.caption_tokens)


def as_sentence(text: str) -> str:
    """A text as the model generates it ("a pond is near a road .") → a sentence ("A pond is near a road.")."""
    text = re.sub(r"\s+([.,])", r"\1", text.strip())  # French has spaces before other marks
    return ended(text[:1].title() + text[1:])


def _finish(
    backend: Backend,
    encoded: Encoded,
    images: Sequence[int],
    limits: DecodingConfig,
    ablation: Ablation,
    instruction: str,
    prompts: Sequence[RoutedPrompts],
    drafts: Sequence[ExpertDrafts],
) -> list[Description]:
    """A request that failed is an error of the whole description: at another time there would be a better one."""
    kept = [{name: text for name, text in own.items() if name not in ablation.without} for own in drafts]
    used = [{name: text for name, text in own.items() if text.error is None} for own in kept]
    if ablation.output == "join":
        captions = [Generation(", ".join(filter(None, (text.text for text in own.values())))) for own in used]
    elif ablation.output == "base":
        captions = caption_without_experts(backend, encoded, images, limits, instruction)
    else:
        instructions = [instruction] * len(images)
        captions = fuse(backend, encoded, images, instructions, used, limits.caption_tokens)
    return [
        Description(
            as_sentence(caption.text),
            MappingProxyType(good),
            caption.confidence,
            MappingProxyType(prompt),
            MappingProxyType({name: text.error for name, text in own.items() if text.error is not None}),
            next((text.error for text in own.values() if text.failed), caption.error),
        )
        for caption, good, own, prompt in zip(captions, used, kept, prompts, strict=True)
    ]
