"""Model folders: config.json, model.safetensors, tokenizer.json, adapters/<role>/, README.md (the model card).

Weights are safetensors only, so that nothing in a folder is ever executed. `model.safetensors` holds image encoder,
Q-Former and the stage-1 language model; a folder without `adapters/` is a stage-1 model. Where the configuration names
things to be found one by one, `counters/<counter>.safetensors` are there. In the merged form, which is for use only,
`experts/<role>/model.safetensors` with a whole language model each stand in the adapters' place.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rsmoe_core.config import ModelConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.model.roles import ADAPTERS, NO_ROLE
from rsmoe_core.model.rsmoe import RSMoE, build
from rsmoe_core.model.writing import RoleCopies
from rsmoe_core.tokenizer import TextCodec

CONFIG, WEIGHTS, COUNTERS = "config.json", "model.safetensors", "counters"
EXPERTS = "experts"
"""Folder of the roles in the merged form."""

_TIED = "lm_head.weight"
"""The output layer's weight, which is that of the input embeddings and is not stored again."""


def save_model(model: RSMoE, folder: Path, *, half: bool = False, merged: bool = False) -> None:
    """Write a model folder; `half` stores matrices in float16 (vectors, such as norms, stay in float32).

    `merged` makes a full copy of the language model of each role. A model that was read from that form is not written
    again.
    """
    assert model.config.share_base, "a merged model has no adapters to keep"
    folder.mkdir(parents=True, exist_ok=True)
    config = dataclasses.replace(model.config, share_base=not merged)
    (folder / CONFIG).write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
    model.codec.save(folder)
    save_file(_stored(base_state(model), half), str(folder / WEIGHTS))
    for name, counter in model.counters.items():
        (folder / COUNTERS).mkdir(exist_ok=True)
        save_file(_stored(counter.state_dict(), half), str(folder / COUNTERS / f"{name}.safetensors"))
    if merged:
        _save_copies(model, folder / EXPERTS, half)
    elif model.has_experts:
        from rsmoe_core.model import lora  # here, as peft and transformers take seconds to import

        lora.save_adapters(model.language, folder)
        for path in (folder / ADAPTERS).glob("*/*.safetensors"):
            save_file(_stored(load_file(str(path)), half), str(path), metadata={"format": "pt"})


def load_model(folder: Path, device: str = "cpu") -> RSMoE:
    """Read a model folder into float32 on `device`, in evaluation mode.

    Raises ModelError that names the file which is missing, truncated or does not fit the others.
    """
    config = load_config(folder)
    codec = TextCodec.load(folder, config.experts)
    model = build(config, codec)
    model.counters, counters = nn.ModuleDict(), model.counters  # their weights lie in files of their own
    load_weights(model, folder / WEIGHTS)
    for name, counter in counters.items():
        load_weights(counter, folder / COUNTERS / f"{name}.safetensors")
    model.counters = counters
    if not config.share_base:
        model.language = _load_copies(model, folder / EXPERTS)
    elif (folder / ADAPTERS).is_dir():
        from rsmoe_core.model import lora  # here, as peft and transformers take seconds to import

        model.language = lora.load_adapters(model.language, folder, model.roles)
    return model.to(device).eval()


def load_config(folder: Path) -> ModelConfig:
    """Read `config.json`. Raises ModelError."""
    path = folder / CONFIG
    try:
        return ModelConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ModelError(f"{folder}: not a model folder ({CONFIG} is missing)") from error
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path}: damaged ({error}); copy the model folder again") from error


def fingerprint(folder: Path) -> str:
    """Twelve hexadecimal digits that change whenever a file that decides what the model says changes."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".safetensors")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def base_state(model: RSMoE) -> dict[str, Tensor]:
    """Image encoder, Q-Former and language model without adapters, by the names they have in a stage-1 model."""
    state = {}
    for key, value in model.state_dict().items():
        if "lora_" not in key and not key.endswith(_TIED) and not key.startswith("counters."):
            state[key.replace("language.base_model.model.", "language.").replace(".base_layer.", ".")] = value
    return state


def trainable_count(module: nn.Module) -> int:
    """Number of parameters that training may change."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _is_empty(module: nn.Module) -> bool:
    """Whether the module has shapes only, and waits for tensors to take over."""
    return any(parameter.is_meta for parameter in module.parameters())


def _save_copies(model: RSMoE, folder: Path, half: bool) -> None:
    from rsmoe_core.model import lora  # here, as peft and transformers take seconds to import

    for role in model.roles:
        state = lora.merged(model.language, role).state_dict()
        (folder / role).mkdir(parents=True)
        own = {key: value for key, value in state.items() if not key.endswith(_TIED)}
        save_file(_stored(own, half), str(folder / role / WEIGHTS))


def _load_copies(model: RSMoE, folder: Path) -> RoleCopies:
    from rsmoe_core.model.language import build_language_model  # here, as peft and transformers take seconds to import

    copies = {NO_ROLE: model.language}
    for role in model.roles:
        copies[role] = build_language_model(model.config.language, model.codec)
        load_weights(copies[role], folder / role / WEIGHTS)
    return RoleCopies(copies)


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill a module from a weight file, in float32. Raises ModelError."""
    fill(module, read_tensors(path), path)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a weight file, in float32. Raises ModelError."""
    try:
        return {
            key: value.float() if value.is_floating_point() else value for key, value in load_file(str(path)).items()
        }
    except Exception as error:  # safetensors and the file system each raise their own
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: missing or damaged ({reason}); copy the model folder again") from error


def fill(module: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    """Fill a module with the tensors of the weight file at `path`. Raises ModelError where they do not fit."""
    try:
        keys = module.load_state_dict(state, strict=False, assign=_is_empty(module))
    except RuntimeError as error:  # torch's own, a line for each tensor
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: does not fit {CONFIG} ({reason}); copy the model folder again") from error
    absent = [key for key in keys.missing_keys if not key.endswith(_TIED)]
    if absent or keys.unexpected_keys:
        odd = (absent or keys.unexpected_keys)[0]
        raise ModelError(f"{path}: does not fit {CONFIG} (first difference: {odd}); copy the model folder again")


def _stored(state: dict[str, Tensor], half: bool) -> dict[str, Tensor]:
    return {
        key: (value.to(torch.float16) if half and value.is_floating_point() and value.ndim > 1 else value)
        .detach()
        .cpu()
        .contiguous()
        for key, value in state.items()
    }
