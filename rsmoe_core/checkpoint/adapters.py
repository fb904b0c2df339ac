"""Adapters of a model folder → their weights. peft itself reads nothing of a folder: what it reads can make it import
code, fetch models and open pickles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from rsmoe_core.checkpoint import expected
from rsmoe_core.checkpoint.validation import read_json_file
from rsmoe_core.checkpoint.weights import read_weights
from rsmoe_core.config import LoraSettings, ModelConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.roles import all_roles

ADAPTERS, ADAPTER_WEIGHTS = "adapters", "adapter_model.safetensors"
"""Folder of the roles' adapters in a model folder, and the weight file of each."""
SETTINGS = "adapter_config.json"

# These say nothing about a plain adapter, or change from one version of peft to the next.
_INERT = {"inference_mode", "megatron_core", "peft_version", "qalora_group_size"}
_MOST_NAMED = 200
"""Letters of the names that a message lists."""


def read_adapters(folder: Path, config: ModelConfig) -> dict[str, dict[str, Tensor]]:
    """Role → the factors of its adapter, by peft's names.

    Raises ModelError where one is missing, damaged, or anything else than a plain adapter with the settings of the
    configuration.
    """
    files = {role: folder / ADAPTERS / role for role in all_roles(config.experts)}
    missing = [role for role, own in files.items() if not all((own / f).is_file() for f in (ADAPTER_WEIGHTS, SETTINGS))]
    if missing:
        raise ModelError(f"{folder / ADAPTERS}: lacks {', '.join(missing)}; copy the whole model folder again")
    for own in files.values():
        _check_settings(own / SETTINGS, config.lora)
    wanted = expected.expected_adapter(config)
    return {role: read_weights(own / ADAPTER_WEIGHTS, wanted) for role, own in files.items()}


def _check_settings(path: Path, settings: LoraSettings) -> None:
    """Raise ModelError where an adapter says that it is more than a plain one, or another one."""
    try:
        found = read_json_file(path)
        if not isinstance(found, dict):
            raise ValueError("no object")
    except ValueError as error:
        raise ModelError(f"{path}: damaged ({error}); copy the model folder again") from error
    plain: dict[str, Any] = {
        "peft_type": "LORA",
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "target_modules": list(settings.targets),
    }
    usual = {"lora_dropout": settings.dropout, "task_type": "CAUSAL_LM", "bias": "none", "init_lora_weights": True}
    odd = [key for key in plain if key not in found]
    odd += [k for k, value in found.items() if k not in _INERT and not _same(value, (plain | usual).get(k))]
    if odd:
        named = ", ".join(odd)[:_MOST_NAMED]
        raise ModelError(
            f"{path}: is no plain adapter with the settings of config.json ({named} differ); export the model again"
        )


def _same(value: object, plain: object) -> bool:
    """Whether two settings mean the same; nothing, false and empty do."""
    if isinstance(value, list) and isinstance(plain, list):
        return all(isinstance(one, str) for one in value) and sorted(value) == sorted(plain)
    return (value == plain and isinstance(value, bool) == isinstance(plain, bool)) or (not value and not plain)
