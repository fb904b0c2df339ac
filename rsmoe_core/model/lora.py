"""Roles as LoRA adapters on one language model: the only place that knows peft."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from torch import nn

from rsmoe_core.config import LoraSettings
from rsmoe_core.errors import ModelError
from rsmoe_core.shapes import read_json
from rsmoe_core.weights import read_weights

ROUTER, FUSION = "router", "fusion"
NO_ROLE = "__base__"
"""peft's name for the model without any adapter."""
FOLDER, WEIGHTS, SETTINGS = "adapters", "adapter_model.safetensors", "adapter_config.json"

_DECISIVE = ("peft_type", "r", "lora_alpha", "target_modules")
# These say nothing about a plain adapter, or change from one version of peft to the next.
_INERT = {"inference_mode", "megatron_core", "peft_version", "qalora_group_size"}
_LONGEST_SETTINGS = 2**20
"""Bytes."""
_MOST_NAMED = 200
"""Letters of the names that a message lists."""


def roles(experts: Sequence[str]) -> tuple[str, ...]:
    """Every role of a model with these experts, in the order in which they speak."""
    return (ROUTER, *experts, FUSION)


def add_adapters(language: nn.Module, names: Sequence[str], settings: LoraSettings) -> PeftModel:
    """Put a fresh adapter for each name on the language model; as they start, they change nothing."""
    config = _config(settings)
    model = get_peft_model(language, config, adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, config)
    return model


def activate(language: PeftModel, role: str) -> None:
    """Let the language model speak in one role while training; only that role's adapter then takes gradients."""
    language.set_adapter(role)


def merged(language: PeftModel, role: str) -> nn.Module:
    """A full copy of the language model with one role's adapter added to its weights."""
    return deepcopy(language).merge_and_unload(adapter_names=[role])


def parameters_of(language: nn.Module, names: Sequence[str]) -> list[tuple[str, nn.Parameter]]:
    """Named parameters of the adapters called `names`."""
    # peft calls them `...q_proj.lora_A.<adapter>.weight`
    return [(key, p) for key, p in language.named_parameters() if "lora_" in key and key.split(".")[-2] in names]


def save_adapters(language: PeftModel, folder: Path) -> None:
    """Write each adapter to `folder/adapters/<role>/` in peft's own format."""
    for name in language.peft_config:
        language.peft_config[name].base_model_name_or_path = None
    language.save_pretrained(str(folder / FOLDER), selected_adapters=list(language.peft_config))
    (folder / FOLDER / "README.md").unlink(missing_ok=True)


def load_adapters(language: nn.Module, folder: Path, names: Sequence[str], settings: LoraSettings) -> PeftModel:
    """Read the adapters of a model folder, which were made with these settings.

    peft itself reads nothing: an `adapter_config.json` can make it import code, fetch models and read pickles. It is
    compared with the settings, and the weights are put into adapters that are made here.

    Raises ModelError where one is missing, damaged, or anything else than plain adapters with these settings.
    """
    files = {name: folder / FOLDER / name for name in names}
    if missing := [name for name, own in files.items() if not all((own / f).is_file() for f in (WEIGHTS, SETTINGS))]:
        raise ModelError(f"{folder / FOLDER}: lacks {', '.join(missing)}; copy the whole model folder again")
    for own in files.values():
        _check_settings(own / SETTINGS, settings)
    model = add_adapters(language, names, settings)
    for name, own in files.items():
        wanted = get_peft_model_state_dict(model, adapter_name=name)
        set_peft_model_state_dict(model, read_weights(own / WEIGHTS, wanted), adapter_name=name)
    return model.requires_grad_(False).eval()


def _config(settings: LoraSettings) -> LoraConfig:
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.targets),
        task_type="CAUSAL_LM",
    )


def _check_settings(path: Path, settings: LoraSettings) -> None:
    """Raise ModelError where an adapter says that it is more than a plain one, or another one."""
    try:
        if path.stat().st_size > _LONGEST_SETTINGS:
            raise ValueError("far too long")
        found = read_json(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("no object")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: damaged ({error}); copy the model folder again") from error
    plain = {
        key: sorted(value) if isinstance(value, set) else value for key, value in _config(settings).to_dict().items()
    }
    odd = [key for key, value in found.items() if key not in _INERT and not _same(value, plain.get(key))]
    odd += [key for key in _DECISIVE if key not in found]
    if odd:
        raise ModelError(
            f"{path}: is no plain adapter with the settings of config.json ({', '.join(odd)[:200]} differ)"
        )


def _same(value: object, plain: object) -> bool:
    """Whether two settings mean the same; nothing, false and empty do."""
    if isinstance(value, list) and isinstance(plain, list):
        return all(isinstance(one, str) for one in value) and sorted(value) == plain
    return (value == plain and isinstance(value, bool) == isinstance(plain, bool)) or (not value and not plain)
