"""Model folders: config.json, model.safetensors, tokenizer.json, adapters/<role>/, README.md (the model card).

Weights are safetensors only, so that nothing in a folder is ever executed. `model.safetensors` holds image encoder,
Q-Former and the stage-1 language model; a folder without `adapters/` is a stage-1 model. Detectors, where the
configuration lists any, are in `detectors/<detector>.safetensors`. The merged form, which cannot be trained, has a
whole language model for each role in `experts/<role>/model.safetensors` instead of adapters.

    model folder ─load_for_inference─▶ RSMoE with RoleDecoders    imports neither transformers nor peft
    model in training ─for_inference─▶ the same                   generates many times faster than transformers
    model folder ─load_model─▶ RSMoE with a transformers language model and its adapters
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from rsmoe_core.backends.native import RoleDecoders
from rsmoe_core.checkpoint.validation import CONFIG, load_config
from rsmoe_core.checkpoint.weights import (
    ADAPTERS,
    DETECTORS,
    EXPERTS,
    WEIGHTS,
    read_adapters,
    read_base,
    read_roles,
    write_weights,
)
from rsmoe_core.errors import ModelError
from rsmoe_core.model.language.decoder import Decoder
from rsmoe_core.model.rsmoe import RSMoE, build, build_on_meta
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.roles import BASE

_LANGUAGE = "language."


def load_for_inference(folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> RSMoE:
    """Read a model folder into memory on `device`; it computes in `dtype`.

    Raises:
        ModelError: a file is missing, truncated or does not fit the others; the message names it.
    """
    config = load_config(folder)
    model = build_on_meta(config, Tokenizer.load(folder, config.experts, config.language.vocab_size))
    state = read_base(folder, model)
    language = {key.removeprefix(_LANGUAGE): state.pop(key) for key in list(state) if key.startswith(_LANGUAGE)}
    model.load_state_dict(state, assign=True)
    model.encoder_spec.prepare_for_inference(model.vision)
    by_role = read_roles(folder, config, language)
    states = {BASE: language, **by_role}
    model.language = RoleDecoders({role: Decoder(config.language, own) for role, own in states.items()})
    model.has_experts = bool(by_role)
    model.to(device)
    for part in (
        model.vision,
        model.qformer,
        model.language,
    ):  # detectors stay in float32, in which they were calibrated
        part.to(dtype)
    return model.eval().requires_grad_(False)


def for_inference(model: RSMoE) -> RSMoE:
    """The model in training form with the weights of this moment.

    Image encoder, Q-Former and detectors are the model's own, and are in evaluation mode from now on.
    """
    states = {}
    if model.has_experts:
        from rsmoe_core.model import lora  # here, since importing peft takes seconds

        states = {role: lora.merged(model.language, role).state_dict() for role in model.roles}
    base = {key: value for key, value in base_state(model).items() if key.startswith(_LANGUAGE)}
    states[BASE] = {key.removeprefix(_LANGUAGE): value.clone() for key, value in base.items()}
    decoders = RoleDecoders({role: Decoder(model.config.language, state) for role, state in states.items()})
    merged = RSMoE(
        model.config,
        model.tokenizer,
        model.vision,
        model.qformer,
        decoders,
        model.detectors,
        has_experts=model.has_experts,
    )
    return merged.to(model.qformer.queries.device).eval()


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
    write_weights(_stored(base_state(model), half), folder / WEIGHTS)
    for name, detector in model.detectors.items():
        (folder / DETECTORS).mkdir(exist_ok=True)
        write_weights(_stored(detector.state_dict(), half), folder / DETECTORS / f"{name}.safetensors")
    if merged:
        _save_copies(model, folder / EXPERTS, half)
    elif model.has_experts:
        from rsmoe_core.model import lora  # here, since importing peft and transformers takes seconds

        lora.save_adapters(model.language, folder / ADAPTERS)
        for path in (folder / ADAPTERS).glob("*/*.safetensors"):
            write_weights(_stored(load_file(str(path)), half), path, {"format": "pt"})


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
        write_weights(_stored(own, half), folder / role / WEIGHTS)


def _stored(state: dict[str, Tensor], half: bool) -> dict[str, Tensor]:
    return {
        key: (value.to(torch.float16) if half and value.is_floating_point() and value.ndim > 1 else value)
        .detach()
        .cpu()
        .contiguous()
        for key, value in state.items()
    }
