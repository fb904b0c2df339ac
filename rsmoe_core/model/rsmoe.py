"""The composition: parts are built outside and handed in.

pixels_BCHW ─vision─▶ patches_BPD ─qformer─▶ VisionTokens ─language (router, experts, fusion)─▶ text
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rsmoe_core.config import ModelConfig
from rsmoe_core.model.detector import COUNTERS, Counter
from rsmoe_core.model.experts import ExpertDrafts, draft
from rsmoe_core.model.fusion import fuse
from rsmoe_core.model.language.decoder import Written
from rsmoe_core.model.language.generation import LanguageModel, RoleCopies, Voices, write
from rsmoe_core.model.qformer import QFormer
from rsmoe_core.model.router import RoutedPrompts, plain_prompts, route
from rsmoe_core.model.tokenizer import TextCodec
from rsmoe_core.model.vision.efficientnet_lite import EfficientNetLite
from rsmoe_core.roles import NO_ROLE, roles


class RSMoE(nn.Module):
    """An image encoder, a VLM encoder and a language model, with or without the adapters that make it a mixture."""

    def __init__(
        self,
        config: ModelConfig,
        codec: TextCodec,
        vision: EfficientNetLite,
        qformer: QFormer,
        language: LanguageModel,
        counters: nn.ModuleDict | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.codec = codec
        self.vision = vision
        self.qformer = qformer
        self.language: LanguageModel = language
        # A ModuleDict of Counters, which its type does not say.
        self.counters: Any = nn.ModuleDict() if counters is None else counters

    @property
    def roles(self) -> tuple[str, ...]:
        """Router, experts and fusion of this model's experts."""
        return roles(self.config.experts)

    @property
    def has_experts(self) -> bool:
        """False after stage 1, when there is one language model and nobody to route to."""
        if isinstance(self.language, Voices):
            return len(self.language.decoders) > 1
        return hasattr(self.language, "peft_config") or isinstance(self.language, RoleCopies)

    def add_experts(self) -> None:
        """Start router, experts and fusion from the stage-1 language model."""
        from rsmoe_core.model import lora

        self.language = lora.add_adapters(self.language, self.roles, self.config.lora)

    def add_counter(self, name: str) -> None:
        """Start one of `COUNTERS` from the counter that is there, or from the image encoder's first layers."""
        start = next(iter(self.counters.values()), self.vision)
        counting = self.config.counting.with_sights(COUNTERS[name])
        self.config = dataclasses.replace(self.config, counting=counting)
        self.counters[name] = Counter(self.config.vision, COUNTERS[name], counting.width)
        self.counters[name].start_from(start)

    def encode(self, patches_BPD: Tensor, instructions: Sequence[str]) -> Tensor:
        """patches_BPD and one instruction for each image → VisionTokens tokens_BQH, on the model's device."""
        rows = [self.codec.prompt_ids(text) for text in instructions]
        longest = max(map(len, rows))
        pad, device = self.codec.pad, self.qformer.queries.device
        ids_BT = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=device)
        return self.qformer(patches_BPD.to(device), ids_BT, ids_BT.ne(pad).long())

    def ask_experts(
        self, tokens_BQH: Tensor, instructions: Sequence[str], routed: bool = True
    ) -> tuple[list[RoutedPrompts], list[ExpertDrafts]]:
        """The router's prompts for each image (their plain questions if not `routed`), and the experts' drafts."""
        limits = self.config.decoding
        if routed:
            prompts = route(self.language, self.codec, tokens_BQH, instructions, limits.prompt_tokens)
        else:
            prompts = [plain_prompts(self.codec.experts) for _ in instructions]
        return prompts, draft(self.language, self.codec, tokens_BQH, prompts, limits.draft_tokens)

    def fuse(
        self, tokens_BQH: Tensor, instructions: Sequence[str], drafts: Sequence[ExpertDrafts], beams: int | None = None
    ) -> list[Written]:
        """The final text of each image; `beams` None takes the configured beam width."""
        limits = self.config.decoding
        return fuse(
            self.language,
            self.codec,
            tokens_BQH,
            instructions,
            drafts,
            max_tokens=limits.caption_tokens,
            beams=limits.beams if beams is None else beams,
        )

    def answer(self, tokens_BQH: Tensor, prompts: Sequence[str], beams: int = 1) -> list[Written]:
        """What the stage-1 language model says by itself, without router, experts and fusion."""
        limit = self.config.decoding.caption_tokens
        bare = [NO_ROLE] * len(prompts) if self.has_experts else None
        return write(self.language, self.codec, tokens_BQH, prompts, max_tokens=limit, beams=beams, roles=bare)


def build(config: ModelConfig, codec: TextCodec) -> RSMoE:
    """A model without experts, randomly initialised from torch's global generator."""
    from rsmoe_core.model.language.llama import build_language_model

    return RSMoE(
        config,
        codec,
        vision=EfficientNetLite(config.vision),
        qformer=QFormer(config),
        language=build_language_model(config.language, codec),
        counters=counters_of(config),
    )


def counters_of(config: ModelConfig) -> nn.ModuleDict:
    """The counters that a configuration speaks of, randomly initialised."""
    return nn.ModuleDict(
        {
            name: Counter(config.vision, sights, config.counting.width)
            for name, sights in COUNTERS.items()
            if set(sights) <= set(config.counting.sights)
        }
    )
