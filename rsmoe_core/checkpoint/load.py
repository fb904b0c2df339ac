"""Model folders: config.json, model.safetensors, tokenizer.json, adapters/<role>/, README.md (the model card).

Weights are safetensors only, so that nothing in a folder is ever executed. `model.safetensors` holds image encoder,
Q-Former and the stage-1 language model; a folder without `adapters/` is a stage-1 model. Detectors, where the
configuration lists any, are in `detectors/<detector>.safetensors`. The merged form, which cannot be trained, has a
whole language model for each role in `experts/<role>/model.safetensors` instead of adapters.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rsmoe_core.checkpoint.validation import parse_config
from rsmoe_core.checkpoint.weights import ADAPTERS, expected_language, read_adapters, read_weights
from rsmoe_core.config import ModelConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.model.rsmoe import RSMoE, build, build_on_meta
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.roles import all_roles
from rsmoe_core.strict_json import read_json_file

CONFIG, WEIGHTS, DETECTORS = "config.json", "model.safetensors", "detectors"
EXPERTS = "experts"
"""Folder of the roles' language models in the merged form."""

_TIED = "lm_head.weight"
"""The output layer's weight, which is that of the input embeddings and is not stored again."""


def save_model(model: RSMoE, folder: Path, *, half: bool = False, merged: bool = False) -> None:
    """Write a model in training form to a folder.

    `half` stores matrices in float16; vectors, such as norms, stay in float32. `merged` writes a full copy of the
    language model for each role instead of adapters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = dataclasses.replace(model.config, share_base=not merged)
    (folder / CONFIG).write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
    model.tokenizer.save(folder)
    save_file(_stored(base_state(model), half), str(folder / WEIGHTS))
    for name, detector in model.detectors.items():
        (folder / DETECTORS).mkdir(exist_ok=True)
        save_file(_stored(detector.state_dict(), half), str(folder / DETECTORS / f"{name}.safetensors"))
    if merged:
        _save_copies(model, folder / EXPERTS, half)
    elif model.has_experts:
        from rsmoe_core.model import lora  # here, since importing peft and transformers takes seconds

        lora.save_adapters(model.language, folder / ADAPTERS)
        for path in (folder / ADAPTERS).glob("*/*.safetensors"):
            save_file(_stored(load_file(str(path)), half), str(path), metadata={"format": "pt"})


def load_model(folder: Path, device: str = "cpu") -> RSMoE:
    """Read a model folder into the form for training, in float32 on `device`, in evaluation mode.

    Every weight file is compared with the configuration before its numbers take any memory.

    Raises:
        ModelError: a file is missing, truncated or does not fit the others, or the model is in the merged form.
    """
    config = load_config(folder)
    if not config.share_base:
        raise ModelError(f"{folder} has its adapters merged for good; pass the model that it was exported from")
    tokenizer = Tokenizer.load(folder, config.experts, config.language.vocab_size)
    state = read_base(folder, build_on_meta(config, tokenizer))
    model = build(config, tokenizer)
    model.load_state_dict(state, strict=False)  # only what is tied to the input embeddings is missing
    if (folder / ADAPTERS).is_dir():
        from rsmoe_core.model import lora  # here, since importing peft and transformers takes seconds

        model.language = lora.load_adapters(model.language, read_adapters(folder, config), config.lora)
        model.has_experts = True
    return model.to(device).eval()


def read_base(folder: Path, meta_model: RSMoE) -> dict[str, Tensor]:
    """Image encoder, Q-Former, detectors and stage-1 language model, by the names that they have in a stage-1 model.

    `meta_model` says what to expect; see `build_on_meta`.

    Raises:
        ModelError: a file is missing, damaged, or holds something else.
    """
    own = {key: value for key, value in meta_model.state_dict().items() if not key.startswith("detectors.")}
    language = expected_language(meta_model.config.language)
    state = read_weights(folder / WEIGHTS, own | {f"language.{key}": value for key, value in language.items()})
    for name, detector in meta_model.detectors.items():
        weights = read_weights(folder / DETECTORS / f"{name}.safetensors", detector.state_dict())
        state |= {f"detectors.{name}.{key}": value for key, value in weights.items()}
    return state


def read_copies(folder: Path, config: ModelConfig) -> dict[str, dict[str, Tensor]]:
    """Role → its whole language model, of a folder in the merged form.

    Raises:
        ModelError: a file is missing, damaged, or holds something else.
    """
    wanted = expected_language(config.language)
    return {role: read_weights(folder / EXPERTS / role / WEIGHTS, wanted) for role in all_roles(config.experts)}


def load_config(folder: Path) -> ModelConfig:
    """Read `config.json` of a folder.

    Raises:
        ModelError: the folder is no model folder, has links that lead out of it, or its configuration is damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ModelError(f"{folder}: not a model folder ({CONFIG} is missing); name one that rsmoe wrote")
    _refuse_links(folder)
    try:
        return parse_config(read_json_file(path))
    except ValueError as error:
        raise ModelError(f"{path}: damaged ({error}); copy the model folder again") from error
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from None


def _refuse_links(folder: Path) -> None:
    """Refuse a folder with anything that is a link out of it, or no ordinary file."""
    home = folder.resolve()
    # The hub's cache keeps a model's files beside its snapshots, which hold links to them.
    homes = (home, home.parent.parent / "blobs") if home.parent.name == "snapshots" else (home,)
    for path in folder.rglob("*"):
        real = path.resolve()
        if not any(real.is_relative_to(own) for own in homes):
            raise ModelError(f"{path}: is a link out of the model folder; copy the files themselves")
        if not (real.is_file() or real.is_dir()):
            raise ModelError(f"{path}: is no ordinary file; remove it")


def fingerprint(folder: Path) -> str:
    """Twelve hexadecimal digits that change whenever a file that decides the model's output changes."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".json", ".safetensors") and p.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def base_state(model: RSMoE) -> dict[str, Tensor]:
    """Image encoder, Q-Former and language model without adapters, by the names they have in a stage-1 model."""
    state = {}
    for key, value in model.state_dict().items():
        if "lora_" not in key and not key.endswith(_TIED) and not key.startswith("detectors."):
            state[key.replace("language.base_model.model.", "language.").replace(".base_layer.", ".")] = value
    return state


def _save_copies(model: RSMoE, folder: Path, half: bool) -> None:
    from rsmoe_core.model import lora  # here, since importing peft and transformers takes seconds

    for role in model.roles:
        state = lora.merged(model.language, role).state_dict()
        (folder / role).mkdir(parents=True)
        own = {key: value for key, value in state.items() if not key.endswith(_TIED)}
        save_file(_stored(own, half), str(folder / role / WEIGHTS))


def _stored(state: dict[str, Tensor], half: bool) -> dict[str, Tensor]:
    return {
        key: (value.to(torch.float16) if half and value.is_floating_point() and value.ndim > 1 else value)
        .detach()
        .cpu()
        .contiguous()
        for key, value in state.items()
    }
