"""Mixtures on tiny bases: one in the form for training with random adapters, and settings that train one in seconds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rsmoe_core.config import BaseReference, DecodingConfig, LoraSettings, MixtureConfig
from rsmoe_core.training.phases import Stage
from rsmoe_core.training.stages import find_stage


def tiny_mixture_config(base: Path) -> MixtureConfig:
    """Small adapters and short texts on the base in a folder."""
    return MixtureConfig(
        base=BaseReference(str(base)),
        lora=LoraSettings(rank=4, alpha=8, targets=()),
        decoding=DecodingConfig(prompt_tokens=12, draft_tokens=6, caption_tokens=8),
    )


def fast_stage(name: str, epochs: int = 2) -> Stage:
    """A stage of a mixture on a base with large steps."""
    stage = find_stage(name, on_base=True)
    phases = (
        dataclasses.replace(phase, epochs=epochs, learning_rate=1e-2, images_per_step=8) for phase in stage.phases
    )
    return dataclasses.replace(stage, phases=tuple(phases))


def random_mixture(base: Path, seed: int = 0):  # type: ignore[no-untyped-def]  # MixtureModel, which takes seconds to import
    """A `MixtureModel` on the base in a folder, whose roles have random adapters."""
    import torch

    from rsmoe_core.training.mixtures.start import MixtureStart
    from rsmoe_core.training.train_config import TrainConfig

    config = TrainConfig((), Path(), seed=seed, bf16=False)
    model = MixtureStart(tiny_mixture_config(base)).model(fast_stage("2"), (), config).model
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.2)
    return model
