"""A base whose frozen weights are spread over several GPUs (FSDP), where `accelerate launch` asks for it.

    each layer of the language model: a part of its weights on each GPU, together only while the layer computes

What is trained (adapters, connector) is small, and stays whole on every GPU: its gradients are added up as those of
native models are (see `distributed`). The processes have to go through layers in step, since each needs the others'
parts: validation and drafts are computed by all of them alike, where without shards one does and the others wait.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from rsmoe_core.errors import TrainingError
from rsmoe_core.training import distributed

if TYPE_CHECKING:
    from rsmoe_core.model.mixture_model import MixtureModel

_ASKED = "ACCELERATE_USE_FSDP"
"""Set by `accelerate launch` with a configuration of FSDP."""
_ON_RANK_0 = "FSDP_CPU_RAM_EFFICIENT_LOADING"
"""Likewise; then transformers gives weights to the first process alone, and waits for them to be sent to the others."""


def is_wanted() -> bool:
    """Whether the base is to be spread over the processes of this run."""
    return distributed.world_size() > 1 and os.environ.get(_ASKED, "").lower() == "true"


def check_wanted(quantize: str | None) -> None:
    """Refuse what cannot be spread.

    Raises:
        TrainingError: the weights are quantised as well.
    """
    if is_wanted() and quantize is not None:
        raise TrainingError("quantised weights are not spread over GPUs; leave out --quantize, or launch without FSDP")


@contextmanager
def loaded_whole() -> Iterator[None]:
    """While a base is loaded: every process reads all weights, of which transformers would leave most to the first."""
    asked = os.environ.get(_ON_RANK_0)
    os.environ[_ON_RANK_0] = "false"
    try:
        yield
    finally:
        del os.environ[_ON_RANK_0]
        if asked is not None:
            os.environ[_ON_RANK_0] = asked


def shard(model: MixtureModel, device: str) -> None:
    """Spread the layers of the language model; everything else moves to the device as it is."""
    from accelerate import FullyShardedDataParallelPlugin
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import OffloadPolicy, fully_shard

    plugin = FullyShardedDataParallelPlugin()
    mesh = init_device_mesh(torch.device(device).type, (distributed.world_size(),))
    offload = plugin.cpu_offload if isinstance(plugin.cpu_offload, OffloadPolicy) else OffloadPolicy()
    trained = {parameter for name, parameter in model.model.named_parameters() if "lora_" in name}
    for layer in _layers(model):
        fully_shard(
            layer,
            mesh=mesh,
            reshard_after_forward=bool(plugin.reshard_after_forward),
            offload_policy=offload,
            ignored_params=trained,
        )
    model.model.to(device)


def _layers(model: MixtureModel) -> list[nn.Module]:
    """The layers of the language model, which transformers can compute one at a time."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    language = model.base.get_submodule(model.config.language)
    return [module for module in language.modules() if isinstance(module, GradientCheckpointingLayer)]
