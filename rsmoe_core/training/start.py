"""The model that a stage starts from: a new one of a preset, or the finished model of an earlier stage."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from rsmoe_core.checkpoint.load import load_model
from rsmoe_core.checkpoint.mixture import find_base_of, is_mixture, read_mixture
from rsmoe_core.checkpoint.validation import CONFIG, load_config
from rsmoe_core.config import MixtureConfig, ModelConfig
from rsmoe_core.errors import TrainingError
from rsmoe_core.model.rsmoe import RSMoE, build
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.model.vision.base import find_encoder
from rsmoe_core.strict_json import read_json_file
from rsmoe_core.training.examples import TrainingSample, texts
from rsmoe_core.training.mixtures.start import MixtureStart
from rsmoe_core.training.native import NativeTrainee
from rsmoe_core.training.phases import Stage
from rsmoe_core.training.train_config import TrainConfig
from rsmoe_core.training.trainee import Trainee


class Start(Protocol):
    """Where a stage starts; nothing is built or loaded yet."""

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the model's experts."""

    def model(self, stage: Stage, training_samples: Sequence[TrainingSample], config: TrainConfig) -> Trainee:
        """The model, on its device, with adapters where the stage trains any.

        Raises:
            TrainingError: it is not the model of the stage before.
            ModelError: a model folder is damaged, or does not fit.
        """


def find_start(
    stage: Stage, preset: ModelConfig | MixtureConfig | None, backbone: Path | None, start: Path | None
) -> Start:
    """Where the stage starts: from a preset, or from the model folder `start`.

    Raises:
        TrainingError: the stage needs a preset where a model is given, or a model where none is given.
        ModelError: `start` is no model folder.
    """
    found: Start
    if stage.starts_from is None:
        if preset is None or start is not None:
            raise TrainingError(f"stage {stage.name} starts from a preset, not from a model; use --preset")
        found = MixtureStart(preset) if isinstance(preset, MixtureConfig) else NativeStart(preset, backbone=backbone)
    elif start is None:
        raise TrainingError(
            f"stage {stage.name} needs the model of stage {stage.starts_from};"
            f" run 'rsmoe train --stage {stage.starts_from}' first and pass its folder with --from"
        )
    elif is_mixture(start):
        mixture = read_mixture(start)
        found = MixtureStart(mixture.config, mixture)
    else:
        found = NativeStart(load_config(start), folder=start)
    if stage.on_base != isinstance(found, MixtureStart):
        kinds = ("a mixture on a base", "a native model")
        raise TrainingError(
            f"this stage {stage.name} trains {kinds[not stage.on_base]}, not {kinds[stage.on_base]};"
            f" take that of find_stage('{stage.name}', on_base={not stage.on_base})"
        )
    return found


def refuse_base(folder: Path, name: str) -> None:
    """Refuse a base of transformers on which nothing was trained yet, where a finished model is wanted.

    Raises:
        TrainingError: it is one.
    """
    config = folder / CONFIG
    if is_mixture(folder) or not config.is_file():
        return
    try:
        values = read_json_file(config)
    except ValueError:
        return  # whoever reads it says what is wrong
    if isinstance(values, dict) and "model_type" in values:
        raise TrainingError(
            f"'{name}' is a model of transformers without experts; train them on it first:"
            f" 'rsmoe train --stage 1 --base {name}', then stage 2"
        )


def image_size_of(folder: Path) -> int:
    """Side of the images that the model in a folder is fed, in pixels.

    Raises:
        ModelError: the folder, or the base that it names, is damaged or missing.
    """
    if not is_mixture(folder):
        return load_config(folder).vision.image_size
    from transformers import AutoConfig, AutoProcessor

    from rsmoe_core.backends.huggingface.prompting import Prompting

    base = find_base_of(read_mixture(folder))
    options = {"local_files_only": True, "trust_remote_code": False}
    processor = AutoProcessor.from_pretrained(base.folder, **options)
    return Prompting(processor, AutoConfig.from_pretrained(base.folder, **options), base.id).image_size


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

    def model(self, stage: Stage, training_samples: Sequence[TrainingSample], config: TrainConfig) -> Trainee:
        """A new model with the vocabulary of the samples, or the finished one; see `Start`."""
        torch.manual_seed(config.seed)
        if self.folder is None:
            model = _new_model(self.config, training_samples, self.backbone)
        else:
            model = _finished_model(stage, self.folder)
        if stage.trains_adapters and not model.has_experts:
            model.add_experts()
        return NativeTrainee(model.to(config.device))


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
