"""The model that a stage starts from: a new one of a preset, or the finished model of an earlier stage."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from rsmoe_core.checkpoint.load import load_model
from rsmoe_core.checkpoint.validation import load_config
from rsmoe_core.config import ModelConfig
from rsmoe_core.errors import TrainingError
from rsmoe_core.model.rsmoe import RSMoE, build
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.model.vision.base import find_encoder
from rsmoe_core.training.examples import TrainingSample, texts
from rsmoe_core.training.native import NativeTrainee
from rsmoe_core.training.phases import Stage
from rsmoe_core.training.trainee import Trainee


class Start(Protocol):
    """Where a stage starts; nothing is built or loaded yet."""

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the model's experts."""

    def model(self, stage: Stage, training_samples: Sequence[TrainingSample], seed: int, device: str) -> Trainee:
        """The model, on its device, with adapters where the stage trains any.

        Raises:
            TrainingError: it is not the model of the stage before.
            ModelError: a model folder is damaged, or does not fit.
        """


def find_start(stage: Stage, preset: ModelConfig | None, backbone: Path | None, start: Path | None) -> Start:
    """Where the stage starts: from a preset, or from the model folder `start`.

    Raises:
        TrainingError: the stage needs a preset where a model is given, or a model where none is given.
        ModelError: `start` is no model folder.
    """
    if stage.starts_from is None:
        if preset is None or start is not None:
            raise TrainingError(f"stage {stage.name} starts from a preset, not from a model; use --preset")
        return NativeStart(preset, backbone=backbone)
    if start is None:
        raise TrainingError(
            f"stage {stage.name} needs the model of stage {stage.starts_from};"
            f" run 'rsmoe train --stage {stage.starts_from}' first and pass its folder with --from"
        )
    return NativeStart(load_config(start), folder=start)


@dataclass(frozen=True)
class NativeStart:
    """A native model; see `Start`."""

    config: ModelConfig
    backbone: Path | None = None
    """Weights of the image encoder of a new model."""
    folder: Path | None = None
    """A finished model; None for a new one."""

    @property
    def experts(self) -> tuple[str, ...]:
        """See `Start`."""
        return self.config.experts

    def model(self, stage: Stage, training_samples: Sequence[TrainingSample], seed: int, device: str) -> Trainee:
        """A new model with the vocabulary of the samples, or the finished one; see `Start`."""
        torch.manual_seed(seed)
        if self.folder is None:
            model = _new_model(self.config, training_samples, self.backbone)
        else:
            model = _finished_model(stage, self.folder)
        if stage.trains_adapters and not model.has_experts:
            model.add_experts()
        return NativeTrainee(model.to(device))


def _new_model(config: ModelConfig, training_samples: Sequence[TrainingSample], backbone: Path | None) -> RSMoE:
    corpus = (text for training_sample in training_samples for text in texts(training_sample))
    tokenizer = Tokenizer.train(corpus, config.language.vocab_size, config.experts)
    language = dataclasses.replace(config.language, vocab_size=len(tokenizer))
    model = build(dataclasses.replace(config, language=language), tokenizer)
    if backbone is not None and backbone.is_dir():
        _copy_encoder(model, backbone)
    elif backbone is not None:
        find_encoder(config.vision).load_pretrained(model.vision, backbone)
    elif config.vision.pretrained:
        find_encoder(config.vision).load_pretrained(model.vision, config.vision.pretrained)
    return model


def _copy_encoder(model: RSMoE, folder: Path) -> None:
    source = load_model(folder)
    if source.config.vision != model.config.vision:
        raise TrainingError(
            f"{folder} has another image encoder than the preset '{model.config.name}'; choose another --preset"
        )
    model.vision.load_state_dict(source.vision.state_dict())


def _finished_model(stage: Stage, folder: Path) -> RSMoE:
    model = load_model(folder)
    if stage.starts_from == "1" and model.has_experts:
        raise TrainingError(f"{folder} has been through stage 2; pass the folder of stage 1")
    if stage.starts_from == "2" and not model.has_experts:
        raise TrainingError(f"{folder} is a stage-1 model without experts; train stage 2 from it first")
    return model
