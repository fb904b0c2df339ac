"""Model folders: config.json, model.safetensors, tokenizer.json, adapters/<role>/, README.md (the model card).

Weights are safetensors only, so that nothing in a folder is ever executed. `model.safetensors` holds image encoder,
Q-Former and the stage-1 language model; a folder without `adapters/` is a stage-1 model.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rsmoe_core.config import ModelConfig
from rsmoe_core.errors import ModelError
from rsmoe_core.model import lora
from rsmoe_core.model.rsmoe import RSMoE, build
from rsmoe_core.tokenizer import TextCodec

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def save_model(model: RSMoE, folder: Path, *, half: bool = False) -> None:
    """Write a model folder; `half` stores matrices in float16 (vectors, such as norms, stay in float32)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(model.config.to_dict(), indent=2) + "\n", encoding="utf-8")
    model.codec.save(folder)
    save_file(_stored(base_state(model), half), str(folder / WEIGHTS))
    if model.has_experts:
        lora.save_adapters(model.language, folder)
        for path in (folder / lora.FOLDER).glob("*/*.safetensors"):
            save_file(_stored(load_file(str(path)), half), str(path), metadata={"format": "pt"})


def load_model(folder: Path, device: str = "cpu") -> RSMoE:
    """Read a model folder into float32 on `device`, in evaluation mode.

    Raises ModelError that names the file which is missing, truncated or does not fit the others.
    """
    config = load_config(folder)
    codec = TextCodec.load(folder, config.experts)
    model = build(config, codec)
    path = folder / WEIGHTS
    try:
        state = {
            key: value.float() if value.is_floating_point() else value for key, value in load_file(str(path)).items()
        }
        keys = model.load_state_dict(state, strict=False)
    except Exception as error:  # safetensors and torch each raise their own
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: missing or damaged ({reason}); copy the model folder again") from error
    absent = [key for key in keys.missing_keys if key != "language.lm_head.weight"]  # tied to the embeddings
    if absent or keys.unexpected_keys:
        odd = (absent or keys.unexpected_keys)[0]
        raise ModelError(f"{path}: does not fit {CONFIG} (first difference: {odd}); copy the model folder again")
    if (folder / lora.FOLDER).is_dir():
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
        if "lora_" not in key and not key.endswith("lm_head.weight"):
            state[key.replace("language.base_model.model.", "language.").replace(".base_layer.", ".")] = value
    return state


def trainable_count(module: nn.Module) -> int:
    """Number of parameters that training may change."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _stored(state: dict[str, Tensor], half: bool) -> dict[str, Tensor]:
    return {
        key: (value.to(torch.float16) if half and value.is_floating_point() and value.ndim > 1 else value)
        .detach()
        .cpu()
        .contiguous()
        for key, value in state.items()
    }
