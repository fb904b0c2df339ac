"""Roles as LoRA adapters on one language model: the only module that imports peft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

from peft import (
    LoraConfig,
    LoraModel,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from torch import Tensor, nn

from rsmoe_core.config import LoraSettings
from rsmoe_core.roles import BASE

_LORA = "lora_"
"""What peft has in the names of an adapter's parameters."""


def add_adapters(
    language: nn.Module, names: Sequence[str], settings: LoraSettings, pattern: str | None = None
) -> PeftModel:
    """Add a fresh adapter for each name to the language model; untrained adapters change nothing.

    They are on the layers that `pattern` matches, if it is given, and else on those with a name of `settings.targets`.
    """
    model = get_peft_model(language, _config(settings, pattern), adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, _config(settings, pattern))
    return model


def _config(settings: LoraSettings, pattern: str | None) -> LoraConfig:
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=pattern or list(settings.targets),
        task_type="CAUSAL_LM",
    )


def copy_adapter(
    language: PeftModel, source: str, names: Sequence[str], settings: LoraSettings, pattern: str | None = None
) -> None:
    """Add adapters called `names` that are copies of the one called `source`; `pattern` is that of `add_adapters`."""
    state = get_peft_model_state_dict(language, adapter_name=source)
    for name in names:
        language.add_adapter(name, _config(settings, pattern))
        set_peft_model_state_dict(language, state, adapter_name=name)


def activate(language: PeftModel, role: str) -> None:
    """Switch the language model to one role for training; only that role's adapter then takes gradients.

    `BASE` is the language model without adapters.
    """
    layers = cast(LoraModel, language.base_model)
    if role == BASE:
        layers.disable_adapter_layers()
    else:
        layers.enable_adapter_layers()
        language.set_adapter(role)


class SwitchedRole(nn.Module):
    """One role of a shared language model: its adapter is switched on for each `generate`."""

    def __init__(self, language: PeftModel, role: str) -> None:
        super().__init__()
        self._language, self._role = language, role
        self.get_input_embeddings = language.get_input_embeddings

    def generate(self, **inputs: Any) -> Any:
        """As in transformers."""
        activate(self._language, self._role)
        return self._language.generate(**inputs)


def merged(language: PeftModel, role: str) -> nn.Module:
    """A full copy of the language model with one role's adapter added to its weights."""
    return deepcopy(language).merge_and_unload(adapter_names=[role])


def parameters_of(language: nn.Module, names: Sequence[str]) -> list[tuple[str, nn.Parameter]]:
    """Named parameters of the adapters called `names`."""
    # peft calls them `...q_proj.lora_A.<adapter>.weight`
    return [(key, p) for key, p in language.named_parameters() if _LORA in key and key.split(".")[-2] in names]


def without_wrapper(language: PeftModel) -> nn.Module:
    """The model that has the adapters; names in it are those without adapters, but for the adapted layers."""
    return cast(nn.Module, language.base_model.model)


def without_adapters(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Named parameters of a network, except those of adapters on it."""
    return [(key, p) for key, p in network.named_parameters() if _LORA not in key]


def save_adapters(language: PeftModel, folder: Path, base: str | None = None) -> None:
    """Write each adapter to `folder/<role>/` in peft's own format; `base` is the name of the model that it is for."""
    for name in language.peft_config:
        config = cast(LoraConfig, language.peft_config[name])
        config.base_model_name_or_path = base
        if not isinstance(config.target_modules, str):
            # peft makes a set of the list and writes it in the set's order, which changes from one process to the next
            config.target_modules = sorted(config.target_modules or ())
    language.save_pretrained(str(folder), selected_adapters=list(language.peft_config), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)


def load_adapters(
    language: nn.Module,
    states: Mapping[str, Mapping[str, Tensor]],
    settings: LoraSettings,
    pattern: str | None = None,
) -> PeftModel:
    """Add adapters with these weights, by role and by peft's names, to the language model; nothing is left to train.

    `pattern` is that of `add_adapters`.
    """
    model = add_adapters(language, list(states), settings, pattern)
    set_states(model, states)
    return model.requires_grad_(False).eval()


def set_states(language: PeftModel, states: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Give existing adapters these weights, by role and by peft's names."""
    for name, state in states.items():
        set_peft_model_state_dict(language, dict(state), adapter_name=name)
