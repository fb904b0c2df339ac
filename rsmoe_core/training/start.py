"""The model that a stage starts from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from rsmoe_core.checkpoint.load import load_model
from rsmoe_core.config import ModelConfig
from rsmoe_core.errors import TrainingError
from rsmoe_core.model.rsmoe import RSMoE, build
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.model.vision.efficientnet_lite import load_imagenet_weights
from rsmoe_core.training.examples import TrainingSample, texts
from rsmoe_core.training.stages import Stage


def check_start(stage: Stage, config: ModelConfig | None, start: Path | None) -> None:
    """Refuse, before any work is done, what the stage cannot start from."""
    if stage.starts_from is None and (config is None or start is not None):
        raise TrainingError(f"stage {stage.name} starts from a preset, not from a model; use --preset")
    if stage.starts_from is not None and start is None:
        raise TrainingError(
            f"stage {stage.name} needs the model of stage {stage.starts_from};"
            f" run 'rsmoe train --stage {stage.starts_from}' first and pass its folder with --from"
        )


def starting_model(
    stage: Stage,
    training_samples: Sequence[TrainingSample],
    config: ModelConfig | None,
    backbone: Path | None,
    start: Path | None,
    seed: int,
) -> RSMoE:
    """The untrained model of a first stage, or the finished one of the stage before, with experts to be trained."""
    torch.manual_seed(seed)
    if stage.starts_from is None:
        assert config is not None  # see check_start
        words = (text for training_sample in training_samples for text in texts(training_sample))
        tokenizer = Tokenizer.train(words, config.language.vocab_size, config.experts)
        vocabulary = dataclasses.replace(config.language, vocab_size=len(tokenizer))
        model = build(dataclasses.replace(config, language=vocabulary), tokenizer)
        if backbone is not None:
            _load_encoder(model, backbone)
        if any(set(model.roles) & set(phase.trains) for phase in stage.phases):
            model.add_experts()
        return model
    assert start is not None  # see check_start
    model = load_model(start)
    if not model.config.share_base:
        raise TrainingError(f"{start} has its adapters merged for good; pass the model that it was exported from")
    if stage.starts_from == "1" and model.has_experts:
        raise TrainingError(f"{start} has been through stage 2; pass the folder of stage 1")
    if stage.starts_from == "2" and not model.has_experts:
        raise TrainingError(f"{start} is a stage-1 model without experts; train stage 2 from it first")
    if not model.has_experts:
        model.add_experts()
    return model


def _load_encoder(model: RSMoE, backbone: Path) -> None:
    """Start from published ImageNet weights, or from the image encoder of a model folder."""
    if not backbone.is_dir():
        load_imagenet_weights(model.vision, backbone)
        return
    learned = load_model(backbone)
    if learned.config.vision != model.config.vision:
        raise TrainingError(
            f"{backbone} has another image encoder than the preset '{model.config.name}'; choose another --preset"
        )
    model.vision.load_state_dict(learned.vision.state_dict())
