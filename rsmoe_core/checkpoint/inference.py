"""The form of a model for inference: a decoder for each role, its adapter merged in, nothing left to train.

    model folder ─load_for_inference─▶ RSMoE with RoleDecoders    imports neither transformers nor peft
    model in training ─for_inference─▶ the same                   generates many times faster than transformers

`checkpoint.load` reads the same folders into the form for training.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from rsmoe_core.checkpoint.load import base_state, load_config, read_base, read_copies
from rsmoe_core.checkpoint.weights import ADAPTERS, read_adapters
from rsmoe_core.config import LoraSettings, ModelConfig
from rsmoe_core.model.language.decoder import Decoder
from rsmoe_core.model.language.native import RoleDecoders
from rsmoe_core.model.rsmoe import RSMoE, build_on_meta
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.model.vision.base import find_encoder
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
    find_encoder(config.vision).prepare_for_inference(model.vision)
    by_role = _role_states(folder, config, language)
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


def _role_states(folder: Path, config: ModelConfig, language: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Role → weights of its language model; none for a stage-1 model."""
    if not config.share_base:
        return read_copies(folder, config)
    if not (folder / ADAPTERS).is_dir():
        return {}
    return {role: _merged(language, own, config.lora) for role, own in read_adapters(folder, config).items()}


def _merged(language: dict[str, Tensor], adapter: dict[str, Tensor], settings: LoraSettings) -> dict[str, Tensor]:
    """The language model's weights with an adapter's low-rank products added; other tensors are shared."""
    merged = dict(language)
    scale = settings.alpha / settings.rank
    for key in [key for key in adapter if key.endswith(".lora_A.weight")]:
        # peft writes `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`
        target = key.removeprefix("base_model.model.").replace(".lora_A", "")
        merged[target] = language[target] + scale * adapter[key.replace("lora_A", "lora_B")] @ adapter[key]
    return merged
