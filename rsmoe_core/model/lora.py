"""Roles as LoRA adapters on one language model: the only place that knows peft."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

from peft import LoraConfig, LoraModel, PeftModel, get_peft_model, set_peft_model_state_dict
from torch import nn

from rsmoe_core.checkpoint.adapters import ADAPTERS, read_adapters
from rsmoe_core.config import LoraSettings, ModelConfig

_LORA = "lora_"
"""What peft has in the names of an adapter's parameters."""


def add_adapters(language: nn.Module, names: Sequence[str], settings: LoraSettings) -> PeftModel:
    """Put a fresh adapter for each name on the language model; as they start, they change nothing."""
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(language, config, adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, config)
    return model


def activate(language: PeftModel, role: str | None) -> None:
    """Let the language model speak in one role while training; only that role's adapter then takes gradients.

    None is the language model without adapters.
    """
    layers = cast(LoraModel, language.base_model)
    if role is None:
        layers.disable_adapter_layers()
    else:
        layers.enable_adapter_layers()
        language.set_adapter(role)


class Switched(nn.Module):
    """One role of a language model that several share: its adapter is switched on for each `generate`."""

    def __init__(self, language: PeftModel, role: str) -> None:
        super().__init__()
        self._language, self._role = language, role
        self.get_input_embeddings = language.get_input_embeddings

    def generate(self, **inputs: Any) -> Any:
        """As transformers has it."""
        activate(self._language, self._role)
        return self._language.generate(**inputs)


def merged(language: PeftModel, role: str) -> nn.Module:
    """A full copy of the language model with one role's adapter added to its weights."""
    return deepcopy(language).merge_and_unload(adapter_names=[role])


def parameters_of(language: nn.Module, names: Sequence[str]) -> list[tuple[str, nn.Parameter]]:
    """Named parameters of the adapters called `names`."""
    # peft calls them `...q_proj.lora_A.<adapter>.weight`
    return [(key, p) for key, p in language.named_parameters() if _LORA in key and key.split(".")[-2] in names]


def without_adapters(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Named parameters of a network but for those of adapters on it."""
    return [(key, p) for key, p in network.named_parameters() if _LORA not in key]


def save_adapters(language: PeftModel, folder: Path) -> None:
    """Write each adapter to `folder/adapters/<role>/` in peft's own format."""
    for name in language.peft_config:
        language.peft_config[name].base_model_name_or_path = None
    language.save_pretrained(str(folder / ADAPTERS), selected_adapters=list(language.peft_config))
    (folder / ADAPTERS / "README.md").unlink(missing_ok=True)


def load_adapters(language: nn.Module, folder: Path, config: ModelConfig) -> PeftModel:
    """Put the adapters of a model folder on the language model. Raises ModelError where one is missing or damaged."""
    states = read_adapters(folder, config)
    model = add_adapters(language, list(states), config.lora)
    for name, state in states.items():
        set_peft_model_state_dict(model, state, adapter_name=name)
    return model.requires_grad_(False).eval()
