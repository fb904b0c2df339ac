"""Model folder → a model ready for use: each role's adapter merged into weights of its own, nothing left to train.

`checkpoint.load_model` reads the same folders into the form that is trained, for which it needs transformers and peft.
Here neither is imported, so that a single picture is described within seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rsmoe_core.checkpoint import (
    CONFIG,
    COUNTERS,
    EXPERTS,
    WEIGHTS,
    fill,
    load_config,
    load_model,
    load_weights,
    read_tensors,
)
from rsmoe_core.config import ModelConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.model.decoder import Decoder
from rsmoe_core.model.qformer import QFormer
from rsmoe_core.model.roles import ADAPTER_WEIGHTS, ADAPTERS, NO_ROLE, roles
from rsmoe_core.model.rsmoe import RSMoE, counters_of
from rsmoe_core.model.vision import EfficientNetLite, fold
from rsmoe_core.model.writing import Voices
from rsmoe_core.tokenizer import TextCodec

_LANGUAGE = "language."
_STARTS = {Tensor.normal_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, nn.init.zeros_, nn.init.ones_}
"""What gives new weights their first values."""


def load_ready(folder: Path, device: str = "cpu") -> RSMoE:
    """Read a model folder into float32 on `device`, for use only.

    A model whose fused text is the best of several beams is read by `load_model`, as decoders write greedily.
    Raises ModelError that names the file which is missing, truncated or does not fit the others.
    """
    config = load_config(folder)
    if config.decoding.beams > 1:
        return load_model(folder, device)
    codec = TextCodec.load(folder, config.experts)
    path = folder / WEIGHTS
    state = read_tensors(path)
    language = {key.removeprefix(_LANGUAGE): state.pop(key) for key in list(state) if key.startswith(_LANGUAGE)}
    with torch.device("meta"), _Unset():  # no memory and no random numbers for what the files hold
        model = RSMoE(config, codec, EfficientNetLite(config.vision), QFormer(config), nn.Identity())
        counters = counters_of(config)
    fill(model, state, path)
    fold(model.vision)
    model.language = Voices(
        {
            role: _decoder(config, own, source)
            for role, (own, source) in {NO_ROLE: (language, path), **_states(folder, config, language)}.items()
        }
    )
    model.counters = counters
    for name, counter in model.counters.items():
        load_weights(counter, folder / COUNTERS / f"{name}.safetensors")
    return model.to(device).eval().requires_grad_(False)


class _Unset(TorchFunctionMode):
    """Leaves out the random numbers with which new weights begin.

    On the meta device they would be free, but to do nothing torch then imports its compiler, which takes seconds.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func in _STARTS:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def _states(
    folder: Path, config: ModelConfig, language: dict[str, Tensor]
) -> dict[str, tuple[dict[str, Tensor], Path]]:
    """Weights of each role's language model and the file they come from; none for a stage-1 model."""
    names = roles(config.experts)
    if not config.share_base:
        paths = {role: folder / EXPERTS / role / WEIGHTS for role in names}
        return {role: (read_tensors(path), path) for role, path in paths.items()}
    if not (folder / ADAPTERS).is_dir():
        return {}
    paths = {role: folder / ADAPTERS / role / ADAPTER_WEIGHTS for role in names}
    scale = config.lora.alpha / config.lora.rank
    return {role: (_merged(language, read_tensors(path), scale, path), path) for role, path in paths.items()}


def _merged(language: dict[str, Tensor], adapter: dict[str, Tensor], scale: float, path: Path) -> dict[str, Tensor]:
    """The language model's weights with an adapter's low-rank products added to some of them."""
    merged = dict(language)
    for key in [key for key in adapter if key.endswith(".lora_A.weight")]:
        # peft writes `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`
        target = key.removeprefix("base_model.model.").replace(".lora_A", "")
        try:
            merged[target] = language[target] + scale * adapter[key.replace("lora_A", "lora_B")] @ adapter[key]
        except (KeyError, RuntimeError) as error:
            raise _misfit(path, target) from error
    return merged


def _decoder(config: ModelConfig, state: dict[str, Tensor], path: Path) -> Decoder:
    try:
        return Decoder(config.language, state)
    except (KeyError, RuntimeError) as error:
        raise _misfit(path, str(error)) from error


def _misfit(path: Path, what: str) -> ModelError:
    return ModelError(f"{path}: does not fit {CONFIG} (first difference: {what}); copy the model folder again")
