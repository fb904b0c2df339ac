"""Where the parts of a vision-language model of transformers are, whatever its class.

    image ─vision encoder─▶ ─connector─▶ vision tokens ─language model─▶ text

Adapters are on the language model alone; the connector (Q-Former, projection, merger) is trained as a whole.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn

from rsmoe_core.errors import ModelError

_CONNECTOR = re.compile(
    r"(?:^|\.)(?:qformer|query_tokens|language_projection|multi_modal_projector|image_projection|connector|"
    r"(?:deepstack_)?merger(?:_list)?|aligner|embed_vision|image_newline|perceiver|mm_projector|vision_projection)"
    r"(?:\.|$)"
)
"""In the names of a connector's parameters."""


def language_name(model: Any) -> str:
    """Dotted name of the language model's decoder within a model of transformers, as `named_modules` gives it.

    Raises:
        ModelError: it has none.
    """
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
    names = [name for name, module in model.named_modules() if module is decoder and name]
    if not names:
        raise ModelError(f"{type(model).__name__} has no language model that can be found; choose another base")
    return names[0]


def linear_layers(model: nn.Module, language: str) -> dict[str, nn.Linear]:
    """Every linear layer of the language model that is called `language`, by its dotted name in the model."""
    start = f"{language}."
    return {
        name: module
        for name, module in model.named_modules()
        if name.startswith(start) and isinstance(module, nn.Linear)
    }


def layer_kinds(model: nn.Module, language: str) -> tuple[str, ...]:
    """The last parts of the names of the language model's linear layers: `q_proj`, `up_proj`, ..."""
    return tuple(sorted({name.split(".")[-1] for name in linear_layers(model, language)}))


def target_pattern(language: str, kinds: tuple[str, ...]) -> str:
    """The regular expression by which peft finds these kinds of layers in the language model, and nowhere else."""
    return rf"{re.escape(language)}\.(?:.*\.)?(?:{'|'.join(map(re.escape, kinds))})"


def adapter_shapes(model: nn.Module, pattern: str, rank: int) -> dict[str, tuple[int, int]]:
    """The two factors of a LoRA adapter on the layers that match, by the names that peft gives them in a file."""
    shapes = {}
    for name, module in model.named_modules():
        # A layer that has adapters already is no Linear, but has the same sizes.
        if hasattr(module, "in_features") and re.fullmatch(pattern, name):
            layer: Any = module
            shapes[f"base_model.model.{name}.lora_A.weight"] = (rank, layer.in_features)
            shapes[f"base_model.model.{name}.lora_B.weight"] = (layer.out_features, rank)
    return shapes


def is_connector(name: str, language: str) -> bool:
    """Whether a parameter or module with this dotted name belongs to the connector."""
    return _CONNECTOR.search(name) is not None and not name.startswith(f"{language}.")


def connector_state(model: nn.Module, language: str) -> dict[str, Tensor]:
    """The connector's parameters and buffers by their names in the model; empty if it has none of its own."""
    return {name: value for name, value in model.state_dict().items() if is_connector(name, language)}
