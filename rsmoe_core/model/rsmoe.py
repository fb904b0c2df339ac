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
from rsmoe_core.model.detector import DETECTORS, Detector
from rsmoe_core.model.experts import ExpertDrafts, draft
from rsmoe_core.model.fusion import fuse
from rsmoe_core.model.language.decoder import Generation
from rsmoe_core.model.language.generation import LanguageModel, RoleCopies, RoleDecoders, write
from rsmoe_core.model.qformer import QFormer
from rsmoe_core.model.router import RoutedPrompts, plain_prompts, route
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.model.vision.efficientnet_lite import EfficientNetLite
from rsmoe_core.roles import BASE, roles


class RSMoE(nn.Module):
    """An image encoder, a VLM encoder and a language model, with or without the adapters that make it a mixture."""

    def __init__(
        self,
        config: ModelConfig,
        tokenizer: Tokenizer,
        vision: EfficientNetLite,
        qformer: QFormer,
        language: LanguageModel,
        detectors: nn.ModuleDict | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        self.vision = vision
        self.qformer = qformer
        self.language: LanguageModel = language
        # A ModuleDict of Counters, which its type does not say.
        self.detectors: Any = nn.ModuleDict() if detectors is None else detectors

    @property
    def roles(self) -> tuple[str, ...]:
        """Router, experts and fusion of this model's experts."""
        return roles(self.config.experts)

    @property
    def has_experts(self) -> bool:
        """False after stage 1, when there is one language model and nobody to route to."""
        if isinstance(self.language, RoleDecoders):
            return len(self.language.decoders) > 1
        return hasattr(self.language, "peft_config") or isinstance(self.language, RoleCopies)

    def add_experts(self) -> None:
        """Start router, experts and fusion from the stage-1 language model."""
        from rsmoe_core.model import lora

        self.language = lora.add_adapters(self.language, self.roles, self.config.lora)

    def add_detector(self, name: str) -> None:
        """Start one of `DETECTORS` from the detector that is there, or from the image encoder's first layers."""
        start = next(iter(self.detectors.values()), self.vision)
        counting = self.config.detection.with_classes(DETECTORS[name])
        self.config = dataclasses.replace(self.config, detection=counting)
        self.detectors[name] = Detector(self.config.vision, DETECTORS[name], counting.width)
        self.detectors[name].start_from(start)

    def encode(self, patches_BPD: Tensor, instructions: Sequence[str]) -> Tensor:
        """patches_BPD and one instruction for each image → VisionTokens tokens_BQH, on the model's device."""
        rows = [self.tokenizer.prompt_ids(text) for text in instructions]
        longest = max(map(len, rows))
        pad, device = self.tokenizer.pad, self.qformer.queries.device
        ids_BT = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=device)
        return self.qformer(patches_BPD.to(device), ids_BT, ids_BT.ne(pad).long())

    def ask_experts(
        self, tokens_BQH: Tensor, instructions: Sequence[str], routed: bool = True
    ) -> tuple[list[RoutedPrompts], list[ExpertDrafts]]:
        """The router's prompts for each image (their plain questions if not `routed`), and the experts' drafts."""
        limits = self.config.decoding
        if routed:
            prompts = route(self.language, self.tokenizer, tokens_BQH, instructions, limits.prompt_tokens)
        else:
            prompts = [plain_prompts(self.tokenizer.experts) for _ in instructions]
        return prompts, draft(self.language, self.tokenizer, tokens_BQH, prompts, limits.draft_tokens)

    def fuse(
        self, tokens_BQH: Tensor, instructions: Sequence[str], drafts: Sequence[ExpertDrafts], beams: int | None = None
    ) -> list[Generation]:
        """The final text of each image; `beams` None takes the configured beam width."""
        limits = self.config.decoding
        return fuse(
            self.language,
            self.tokenizer,
            tokens_BQH,
            instructions,
            drafts,
            max_tokens=limits.caption_tokens,
            beams=limits.beams if beams is None else beams,
        )

    def answer(self, tokens_BQH: Tensor, prompts: Sequence[str], beams: int = 1) -> list[Generation]:
        """What the stage-1 language model says by itself, without router, experts and fusion."""
        limit = self.config.decoding.caption_tokens
        bare = [BASE] * len(prompts) if self.has_experts else None
        return write(self.language, self.tokenizer, tokens_BQH, prompts, max_tokens=limit, beams=beams, roles=bare)


def build(config: ModelConfig, tokenizer: Tokenizer) -> RSMoE:
    """A model without experts, randomly initialised from torch's global generator."""
    from rsmoe_core.model.language.llama import build_language_model

    return RSMoE(
        config,
        tokenizer,
        vision=EfficientNetLite(config.vision),
        qformer=QFormer(config),
        language=build_language_model(config.language, tokenizer),
        detectors=build_detectors(config),
    )


def build_detectors(config: ModelConfig) -> nn.ModuleDict:
    """The detectors that a configuration speaks of, randomly initialised."""
    return nn.ModuleDict(
        {
            name: Detector(config.vision, classes, config.detection.width)
            for name, classes in DETECTORS.items()
            if set(classes) <= set(config.detection.classes)
        }
    )
