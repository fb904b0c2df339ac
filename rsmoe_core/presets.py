"""Named configurations: each is a small function that gives a ModelConfig."""

from __future__ import annotations

from collections.abc import Callable

from rsmoe_core.config import DecodingConfig, LanguageConfig, LoraSettings, ModelConfig, QFormerConfig, VisionConfig
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
    """The configuration called `name`. Raises UsageError that lists the names."""
    if name not in PRESETS:
        raise UsageError(f"no preset '{name}'; choose one of: {', '.join(PRESETS)}")
    return PRESETS[name]()
