"""Named configurations: each is a small function.

PRESETS       native models, of which every part is trained
BASE_PRESETS  the paper's models: mixtures on an InstructBLIP, which is composed of published parts or published itself
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rsmoe_core.config import (
    BaseParts,
    BaseReference,
    DecodingConfig,
    LanguageConfig,
    LoraSettings,
    MixtureConfig,
    ModelConfig,
    QFormerConfig,
    VisionConfig,
)
from rsmoe_core.errors import UsageError


def nano() -> ModelConfig:
    """The model that ships: EfficientNet-Lite2, a two-layer Q-Former and a language model of about 4 M parameters."""
    return ModelConfig(name="nano", language=LanguageConfig(vocab_size=3072))


def tiny() -> ModelConfig:
    """For tests: every part there, all of it small, random weights, milliseconds on a CPU."""
    return ModelConfig(
        name="tiny",
        vision=VisionConfig(width=0.25, depth=0.4, image_size=64, feature_size=32),
        qformer=QFormerConfig(queries=4, hidden_size=16, layers=1, heads=2, intermediate_size=32),
        language=LanguageConfig(vocab_size=512, hidden_size=32, layers=2, heads=2, intermediate_size=48),
        lora=LoraSettings(rank=4, alpha=8),
        decoding=DecodingConfig(prompt_tokens=16, draft_tokens=8, caption_tokens=10),
    )


PRESETS: dict[str, Callable[[], ModelConfig]] = {"nano": nano, "tiny": tiny}


def preset(name: str) -> ModelConfig:
    """The native configuration called `name`. Raises UsageError that lists the names."""
    if name not in PRESETS:
        raise UsageError(f"no preset '{name}'; choose one of: {', '.join((*PRESETS, *BASE_PRESETS))}")
    return PRESETS[name]()


_INSTRUCTBLIP = "Salesforce/instructblip-vicuna-7b"
"""With the image encoder (ViT-g/14) and the Q-Former of the paper."""


@dataclass(frozen=True)
class BasePreset:
    """A mixture, and what its base is composed of."""

    config: MixtureConfig
    parts: BaseParts | None = None
    """None where the base is published as it is."""


def rs_moe_1b() -> BasePreset:
    """The paper's RS-MoE-1B: ViT-g/14, the Q-Former and Llama-3.2-1B, with three experts."""
    return BasePreset(MixtureConfig(preset="rs-moe-1b"), BaseParts(_INSTRUCTBLIP, "meta-llama/Llama-3.2-1B-Instruct"))


def rs_moe_3b() -> BasePreset:
    """The same with Llama-3.2-3B."""
    return BasePreset(MixtureConfig(preset="rs-moe-3b"), BaseParts(_INSTRUCTBLIP, "meta-llama/Llama-3.2-3B-Instruct"))


def rs_moe_7b() -> BasePreset:
    """The paper's RS-MoE-7B: InstructBLIP with Vicuna-7B as it was published."""
    return BasePreset(MixtureConfig(preset="rs-moe-7b", base=BaseReference(_INSTRUCTBLIP)))


BASE_PRESETS: dict[str, Callable[[], BasePreset]] = {
    "rs-moe-1b": rs_moe_1b,
    "rs-moe-3b": rs_moe_3b,
    "rs-moe-7b": rs_moe_7b,
}
