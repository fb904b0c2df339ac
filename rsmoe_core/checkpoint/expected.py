"""ModelConfig → what each weight file of a model folder must hold: tensors with a shape, a type and no numbers.

They lie on torch's `meta` device, so that a configuration may promise anything without taking any memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rsmoe_core.config import LanguageConfig, ModelConfig
from rsmoe_core.model.qformer import QFormer
from rsmoe_core.model.rsmoe import RSMoE, build_detectors
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.model.vision.efficientnet_lite import EfficientNetLite

_STARTS = {Tensor.normal_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, nn.init.zeros_, nn.init.ones_}
"""What gives new weights their first values."""


def meta_model(config: ModelConfig, tokenizer: Tokenizer) -> RSMoE:
    """Everything of a model but its language model and roles."""
    with torch.device("meta"), _Unset():
        return RSMoE(
            config, tokenizer, EfficientNetLite(config.vision), QFormer(config), nn.Identity(), build_detectors(config)
        )


def language(config: LanguageConfig) -> dict[str, Tensor]:
    """A language model by the names of transformers' LlamaForCausalLM, whose output layer is that of the input."""
    size, inner = config.hidden_size, config.intermediate_size
    held = {"model.embed_tokens": (config.vocab_size, size), "model.norm": (size,)}
    for layer in (f"model.layers.{number}" for number in range(config.layers)):
        held |= {f"{layer}.self_attn.{name}_proj": (size, size) for name in "qkvo"}
        held |= {f"{layer}.mlp.{name}_proj": (inner, size) for name in ("gate", "up")}
        held |= {f"{layer}.mlp.down_proj": (size, inner)}
        held |= {f"{layer}.{name}_layernorm": (size,) for name in ("input", "post_attention")}
    return {f"{name}.weight": torch.empty(shape, device="meta") for name, shape in held.items()}


def adapter(config: ModelConfig) -> dict[str, Tensor]:
    """An adapter by the names that peft gives its two factors in a file."""
    rank, held = config.lora.rank, {}
    for name, weight in language(config.language).items():
        place = name.removesuffix(".weight")
        if place.split(".")[-1] in config.lora.targets:
            rows, columns = weight.shape
            held[f"base_model.model.{place}.lora_A.weight"] = torch.empty(rank, columns, device="meta")
            held[f"base_model.model.{place}.lora_B.weight"] = torch.empty(rows, rank, device="meta")
    return held


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
