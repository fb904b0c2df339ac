"""ModelConfig → the tensors that each weight file of a model folder must hold: names, shapes and types, without data.

They are on torch's `meta` device, so that a configuration can describe a model of any size without taking memory.
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
from rsmoe_core.model.vision.base import build_encoder

_INITIALISERS = {
    Tensor.normal_,
    nn.init.normal_,
    nn.init.uniform_,
    nn.init.kaiming_uniform_,
    nn.init.zeros_,
    nn.init.ones_,
}
"""What gives new weights their first values."""


def meta_model(config: ModelConfig, tokenizer: Tokenizer) -> RSMoE:
    """A model on the `meta` device, complete but for its language model and roles.

    Raises:
        ModelError: the configuration does not fit its image encoder.
    """
    with torch.device("meta"), _NoInitialisation():
        return RSMoE(
            config, tokenizer, build_encoder(config.vision), QFormer(config), nn.Identity(), build_detectors(config)
        )


def expected_language(config: LanguageConfig) -> dict[str, Tensor]:
    """A language model by the names of transformers' LlamaForCausalLM, whose output layer is tied to its input."""
    size, inner = config.hidden_size, config.intermediate_size
    shapes = {"model.embed_tokens": (config.vocab_size, size), "model.norm": (size,)}
    for layer in (f"model.layers.{number}" for number in range(config.layers)):
        shapes |= {f"{layer}.self_attn.{name}_proj": (size, size) for name in "qkvo"}
        shapes |= {f"{layer}.mlp.{name}_proj": (inner, size) for name in ("gate", "up")}
        shapes |= {f"{layer}.mlp.down_proj": (size, inner)}
        shapes |= {f"{layer}.{name}_layernorm": (size,) for name in ("input", "post_attention")}
    return {f"{name}.weight": torch.empty(shape, device="meta") for name, shape in shapes.items()}


def expected_adapter(config: ModelConfig) -> dict[str, Tensor]:
    """A LoRA adapter by the names that peft gives its two factors in a file."""
    rank, tensors = config.lora.rank, {}
    for name, weight in expected_language(config.language).items():
        layer = name.removesuffix(".weight")
        if layer.split(".")[-1] in config.lora.targets:
            rows, columns = weight.shape
            tensors[f"base_model.model.{layer}.lora_A.weight"] = torch.empty(rank, columns, device="meta")
            tensors[f"base_model.model.{layer}.lora_B.weight"] = torch.empty(rows, rank, device="meta")
    return tensors


class _NoInitialisation(TorchFunctionMode):
    """Skips the random initialisation of new weights.

    On the meta device it would cost nothing, but torch imports its compiler for it, which takes seconds.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if func in _INITIALISERS:
            return args[0] if args else named["tensor"]
        return func(*args, **named)
