"""The native model, composed of parts that are built outside and handed in.

    pixels_BCHW ─vision─▶ patches_BPD ─qformer─▶ VisionTokens ─language model in a role─▶ text

Shapes: B images, C channels, H rows, W columns, P patches, D patch features, Q vision tokens, T instruction tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rsmoe_core.config import ModelConfig
from rsmoe_core.model.detector import DETECTORS, Detector
from rsmoe_core.model.qformer import QFormer
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.model.vision.base import EncoderSpec, ImageEncoder, build_encoder, find_encoder
from rsmoe_core.roles import all_roles

_INITIALISERS = {
    Tensor.normal_,
    nn.init.normal_,
    nn.init.uniform_,
    nn.init.kaiming_uniform_,
    nn.init.zeros_,
    nn.init.ones_,
}
"""What gives new weights their first values."""


class RSMoE(nn.Module):
    """An image encoder, a VLM encoder and a language model, with or without the adapters that make it a mixture.

    `language` has one of two forms. To train, it is transformers' LlamaForCausalLM, wrapped by peft once there are
    experts; to generate, it is `backends.native.RoleDecoders` (see `rsmoe_core.checkpoint.load`).
    """

    def __init__(
        self,
        config: ModelConfig,
        tokenizer: Tokenizer,
        vision: ImageEncoder,
        qformer: QFormer,
        language: nn.Module,
        detectors: nn.ModuleDict | None = None,
        *,
        has_experts: bool = False,
    ) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = tokenizer
        self.vision = vision
        self.qformer = qformer
        self.language: Any = language
        # A ModuleDict of Detectors, which its type does not say.
        self.detectors: Any = nn.ModuleDict() if detectors is None else detectors
        self.has_experts = has_experts
        """False after stage 1, when there is one language model without adapters."""

    @property
    def encoder_spec(self) -> EncoderSpec:
        """How its kind of image encoder is fed and prepared."""
        return find_encoder(self.config.vision)

    @property
    def roles(self) -> tuple[str, ...]:
        """Router, experts and fusion of this model's experts."""
        return all_roles(self.config.experts)

    def add_experts(self) -> None:
        """Add adapters for router, experts and fusion to the stage-1 language model."""
        from rsmoe_core.model import lora  # here, since importing peft takes seconds and inference does not need it

        self.language = lora.add_adapters(self.language, self.roles, self.config.lora)
        self.has_experts = True

    def add_detector(self, name: str) -> None:
        """Add one of `DETECTORS`, initialised from an existing detector or from the image encoder's first layers."""
        start = next(iter(self.detectors.values()), self.vision)
        detection = self.config.detection.with_classes(DETECTORS[name])
        self.config = dataclasses.replace(self.config, detection=detection)
        self.detectors[name] = Detector(self.config.vision, DETECTORS[name], detection.width)
        self.detectors[name].start_from(start)

    def encode(self, patches_BPD: Tensor, instructions: Sequence[str]) -> Tensor:
        """patches_BPD and one instruction for each image → VisionTokens tokens_BQH, on the model's device."""
        rows = [self.tokenizer.prompt_ids(text) for text in instructions]
        longest = max(map(len, rows))
        pad, device = self.tokenizer.pad, self.qformer.queries.device
        ids_BT = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=device)
        return self.qformer(patches_BPD.to(device), ids_BT, ids_BT.ne(pad).long())


def build(config: ModelConfig, tokenizer: Tokenizer) -> RSMoE:
    """A model without experts, randomly initialised from torch's global generator."""
    from rsmoe_core.model.language.llama import build_language_model  # here, since importing transformers takes seconds

    return RSMoE(
        config,
        tokenizer,
        vision=build_encoder(config.vision),
        qformer=QFormer(config, find_encoder(config.vision).patches(config.vision)),
        language=build_language_model(config.language, tokenizer),
        detectors=build_detectors(config),
    )


def build_on_meta(config: ModelConfig, tokenizer: Tokenizer) -> RSMoE:
    """A model on torch's `meta` device, where it takes no memory, complete but for its language model.

    Raises:
        ModelError: the configuration does not fit its image encoder.
    """
    patches = find_encoder(config.vision).patches(config.vision)
    with torch.device("meta"), _NoInitialisation():
        return RSMoE(
            config,
            tokenizer,
            vision=build_encoder(config.vision),
            qformer=QFormer(config, patches),
            language=nn.Identity(),
            detectors=build_detectors(config),
        )


def build_detectors(config: ModelConfig) -> nn.ModuleDict:
    """The detectors that a configuration lists, randomly initialised."""
    return nn.ModuleDict(
        {
            name: Detector(config.vision, classes, config.detection.width)
            for name, classes in DETECTORS.items()
            if set(classes) <= set(config.detection.classes)
        }
    )


class _NoInitialisation(TorchFunctionMode):
    """Skips the random initialisation of new weights.

    On the meta device it would cost nothing, but torch imports its compiler for it, which takes seconds.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func in _INITIALISERS:
            return args[0] if args else named["tensor"]
        return func(*args, **named)
