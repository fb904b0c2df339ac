"""Weight files of a model folder, in safetensors only: what each must hold, compared before any data is read.

What a file must hold is given as tensors on torch's `meta` device, which have names, shapes and types but no data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from rsmoe_core.config import LanguageConfig, LoraSettings, ModelConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.roles import all_roles
from rsmoe_core.strict_json import read_json_file

WEIGHTS, DETECTORS, EXPERTS = "model.safetensors", "detectors", "experts"
"""The weights of a stage-1 model, and the folders of its detectors and of the roles' models in the merged form."""
ADAPTERS, ADAPTER_WEIGHTS, ADAPTER_SETTINGS = "adapters", "adapter_model.safetensors", "adapter_config.json"
"""Folder of the roles' adapters in a model folder, and the two files of each."""

_FLOAT_TYPES = {"F16", "BF16", "F32"}
_REMEDY = "copy the model folder again"
_INERT = {"inference_mode", "megatron_core", "peft_version", "qalora_group_size"}
"""Settings of adapters that do not matter to a plain one, or change from one version of peft to the next."""
_MAX_NAMES = 200
"""Characters of the names that a message lists."""


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


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Name → shape of every tensor in a weight file, from its header.

    Raises:
        ModelError: the file is missing or damaged.
    """
    with _open_weights(path) as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - it is no mapping


def write_weights(state: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a weight file that has the permissions of any new file; safetensors itself makes it for the owner alone."""
    path.unlink(missing_ok=True)
    path.touch()
    mode = path.stat().st_mode
    save_file(dict(state), str(path), metadata=metadata)
    path.chmod(mode)


def read_weights(path: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a weight file, real ones in float32.

    `expected` has a tensor of the right shape and type for each name; they may be on torch's `meta` device.

    Raises:
        ModelError: the file is missing or damaged, a name, a shape or a type differs, or a value is not finite.
    """
    with _open_weights(path) as file:
        present = set(file.keys())
        if odd := sorted(expected.keys() - present) or sorted(present - expected.keys()):
            raise _mismatch(path, odd[0])
        for key, tensor in expected.items():
            part = file.get_slice(key)
            types = _FLOAT_TYPES if tensor.is_floating_point() else {"I64"}
            shape, dtype = list(part.get_shape()), part.get_dtype()
            if shape != list(tensor.shape) or dtype not in types:
                what = f"{key} is {shape} of {dtype}, not {list(tensor.shape)} of {' or '.join(sorted(types))}"
                raise _mismatch(path, what)
        state = {}
        for key in expected:
            value = file.get_tensor(key)
            state[key] = value.float() if value.is_floating_point() else value
            if not torch.isfinite(state[key]).all():
                raise ModelError(f"{path}: damaged ({key} holds what is no number); {_REMEDY}")
    return state


def read_base(folder: Path, meta: RSMoE) -> dict[str, Tensor]:
    """Image encoder, Q-Former, detectors and stage-1 language model, by the names that they have in a stage-1 model.

    `meta` says what to expect; see `build_on_meta`.

    Raises:
        ModelError: a file is missing, damaged, or holds something else.
    """
    own = {key: value for key, value in meta.state_dict().items() if not key.startswith("detectors.")}
    language = expected_language(meta.config.language)
    state = read_weights(folder / WEIGHTS, own | {f"language.{key}": value for key, value in language.items()})
    for name, detector in meta.detectors.items():
        weights = read_weights(folder / DETECTORS / f"{name}.safetensors", detector.state_dict())
        state |= {f"detectors.{name}.{key}": value for key, value in weights.items()}
    return state


def read_roles(folder: Path, config: ModelConfig, language: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Role → the weights of its language model, its adapter merged in; none for a stage-1 model.

    `language` are the weights of the stage-1 language model.

    Raises:
        ModelError: a file is missing, damaged, or holds something else.
    """
    if not config.share_base:
        expected = expected_language(config.language)
        return {role: read_weights(folder / EXPERTS / role / WEIGHTS, expected) for role in all_roles(config.experts)}
    if not (folder / ADAPTERS).is_dir():
        return {}
    return {role: _merged(language, own, config.lora) for role, own in read_adapters(folder, config).items()}


def read_adapters(folder: Path, config: ModelConfig) -> dict[str, dict[str, Tensor]]:
    """Role → the factors of its adapter, by peft's names.

    peft itself reads nothing of a folder: what it reads can make it import code, fetch models and open pickles.

    Raises:
        ModelError: an adapter is missing, damaged, or not a plain LoRA adapter with the settings of the configuration.
    """
    files = {role: folder / ADAPTERS / role for role in all_roles(config.experts)}
    missing = [
        role for role, own in files.items() if not all((own / f).is_file() for f in (ADAPTER_WEIGHTS, ADAPTER_SETTINGS))
    ]
    if missing:
        raise ModelError(f"{folder / ADAPTERS}: lacks {', '.join(missing)}; copy the whole model folder again")
    for own in files.values():
        check_adapter(own / ADAPTER_SETTINGS, config.lora, list(config.lora.targets))
    expected = expected_adapter(config)
    return {role: read_weights(own / ADAPTER_WEIGHTS, expected) for role, own in files.items()}


def check_adapter(path: Path, settings: LoraSettings, targets: list[str] | str, base: str = "") -> None:
    """Refuse an adapter whose settings are not those of a plain LoRA adapter of this model.

    `targets` are the layers by the names or by the pattern that peft is to find them by, `base` the name of the model
    that it is for.

    Raises:
        ModelError: they differ, or the file is damaged.
    """
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
        "target_modules": targets,
    }
    usual = {
        "lora_dropout": settings.dropout,
        "task_type": "CAUSAL_LM",
        "bias": "none",
        "init_lora_weights": True,
        "base_model_name_or_path": base,
    }
    if base and (own := found.get("base_model_name_or_path")) and own != base:
        raise ModelError(f"{path}: is for another base ({own!r:.200}) than mixture.json names ({base!r})")
    odd = [key for key in plain if key not in found]
    odd += [k for k, value in found.items() if k not in _INERT and not _same(value, (plain | usual).get(k))]
    if odd:
        named = ", ".join(odd)[:_MAX_NAMES]
        raise ModelError(
            f"{path}: is no plain adapter with the settings of config.json ({named} differ); export the model again"
        )


def _same(value: object, plain: object) -> bool:
    """Whether two settings mean the same; None, false and empty do."""
    if isinstance(value, list) and isinstance(plain, list):
        return all(isinstance(one, str) for one in value) and sorted(value) == sorted(plain)
    return (value == plain and isinstance(value, bool) == isinstance(plain, bool)) or (not value and not plain)


def _merged(language: dict[str, Tensor], adapter: dict[str, Tensor], settings: LoraSettings) -> dict[str, Tensor]:
    """The language model's weights with an adapter's low-rank products added; other tensors are shared."""
    merged = dict(language)
    scale = settings.alpha / settings.rank
    for key in [key for key in adapter if key.endswith(".lora_A.weight")]:
        # peft writes `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`
        target = key.removeprefix("base_model.model.").replace(".lora_A", "")
        merged[target] = language[target] + scale * adapter[key.replace("lora_A", "lora_B")] @ adapter[key]
    return merged


@contextmanager
def _open_weights(path: Path) -> Iterator[Any]:
    """A weight file; whatever safetensors raises on it becomes a ModelError."""
    try:
        with safe_open(str(path), "pt") as file:
            yield file
    except ModelError:
        raise
    except Exception as error:  # safetensors, torch and the system each raise their own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: missing or damaged ({reason}); {_REMEDY}") from error


def _mismatch(path: Path, first: str) -> ModelError:
    return ModelError(f"{path}: does not fit config.json (first difference: {first}); {_REMEDY}")
