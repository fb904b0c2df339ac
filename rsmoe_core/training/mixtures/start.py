"""Where a stage of a mixture on a base starts: from the base alone, or from the mixture of an earlier stage."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rsmoe_core.checkpoint.base_weights import BaseWeights, check_memory
from rsmoe_core.checkpoint.mixture import STAGE_1, Mixture, apply_mixture, find_base_of, find_reference
from rsmoe_core.config import BaseReference, MixtureConfig
from rsmoe_core.errors import TrainingError
from rsmoe_core.training.examples import TrainingSample
from rsmoe_core.training.mixtures import sharding
from rsmoe_core.training.phases import Stage
from rsmoe_core.training.train_config import TrainConfig
from rsmoe_core.training.trainee import Trainee

if TYPE_CHECKING:
    from rsmoe_core.model.lora import PeftModel
    from rsmoe_core.model.mixture_model import MixtureModel


@dataclass(frozen=True)
class MixtureStart:
    """A mixture on a base; see `start.Start`."""

    config: MixtureConfig
    """Its base may be named without a revision, and its language model left open."""
    mixture: Mixture | None = None
    """That of an earlier stage; None for the base alone."""

    @property
    def experts(self) -> tuple[str, ...]:
        """See `Start`."""
        return self.config.experts

    def model(self, stage: Stage, training_samples: Sequence[TrainingSample], config: TrainConfig) -> Trainee:
        """The base, with the adapters that the stage trains; see `Start`."""
        from rsmoe_core.training.mixtures.mixture import (
            MixtureTrainee,  # here, since transformers and peft take seconds
        )

        if self.mixture is not None:
            _check_stage(stage, self.mixture)
        sharding.check_wanted(config.quantize)
        torch.manual_seed(config.seed)
        base = find_reference(self.config.base) if self.mixture is None else find_base_of(self.mixture)
        model = self._load(base, config)
        model.config = dataclasses.replace(model.config, stage=stage.name)
        if stage.trains_adapters:
            model.add_experts()
        if config.gradient_checkpointing:
            model.base.gradient_checkpointing_enable({"use_reentrant": False})
        if sharding.is_wanted():
            sharding.shard(model, config.device)
        return MixtureTrainee(model, bf16=config.bf16, is_sharded=sharding.is_wanted())

    def _load(self, base: BaseWeights, config: TrainConfig) -> MixtureModel:
        from rsmoe_core.backends.huggingface.prompting import Prompting
        from rsmoe_core.model.mixture_model import MixtureModel

        network, processor = _load_base(base, config)
        prompting = Prompting(processor, network.config, base.id)
        if self.mixture is not None:
            has_connector = self.mixture.connector is not None
            return MixtureModel(
                apply_mixture(network, self.mixture), prompting, self.config, has_connector=has_connector
            )
        adapted, settings = _with_first_adapter(network, _referring_to(base, self.config))
        return MixtureModel(adapted, prompting, settings)


def _load_base(base: BaseWeights, config: TrainConfig) -> tuple[Any, Any]:
    """Model and processor of a base, in the format in which it is trained on."""
    from rsmoe_core.backends.huggingface.backend import load_base

    dtype = torch.bfloat16 if config.bf16 else torch.float32
    quantization = None
    if config.quantize is not None:
        from rsmoe_core.backends.huggingface.quantization import quantization_config

        quantization = quantization_config(config.quantize, config.device, dtype)
    if sharding.is_wanted():
        with sharding.loaded_whole():
            return load_base(base.folder, base.id, "cpu", dtype)  # the whole would not fit on one GPU
    check_memory(base, config.device, str(dtype).removeprefix("torch."), config.quantize)
    return load_base(base.folder, base.id, config.device, dtype, quantization)


def _referring_to(base: BaseWeights, config: MixtureConfig) -> MixtureConfig:
    """The configuration with the revision of its base, and with the whole path of a folder."""
    name = str(base.folder.absolute()) if Path(base.id).is_dir() else base.id
    return dataclasses.replace(config, base=BaseReference(name, base.revision))


def _with_first_adapter(network: Any, config: MixtureConfig) -> tuple[PeftModel, MixtureConfig]:
    """The base with a fresh adapter on its language model, and the configuration that says where that is."""
    from rsmoe_core.model import lora
    from rsmoe_core.model.vlm_parts import language_name, layer_kinds, target_pattern

    language = language_name(network)
    known = layer_kinds(network, language)
    kinds = config.lora.targets or known
    settings = dataclasses.replace(config.lora, targets=kinds)
    try:
        adapted = lora.add_adapters(network, [STAGE_1], settings, target_pattern(language, kinds))
    except ValueError as error:  # of peft
        missing, there = ", ".join(kinds), ", ".join(known)
        raise TrainingError(f"'{config.base.name}' has none of the layers {missing}; it has: {there}") from error
    return adapted, dataclasses.replace(config, lora=settings, language=language)


def _check_stage(stage: Stage, mixture: Mixture) -> None:
    if stage.starts_from == "1" and mixture.has_experts:
        raise TrainingError(f"{mixture.folder} has been through stage 2; pass the folder of stage 1")
    if stage.starts_from == "2" and not mixture.has_experts:
        raise TrainingError(f"{mixture.folder} is a stage-1 model without experts; train stage 2 from it first")
