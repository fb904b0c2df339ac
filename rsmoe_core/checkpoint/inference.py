"""The form of a model for inference: a decoder for each role, its adapter merged in, nothing left to train.

    model folder ─load_for_inference─▶ RSMoE with RoleDecoders    imports neither transformers nor peft
    model in training ─for_inference─▶ the same                   generates many times faster than transformers

`checkpoint.load` reads the same folders into the form for training.
"""

from __future__ import annotations

from pathlib import Path

import torch

from rsmoe_core.checkpoint.load import base_state
from rsmoe_core.checkpoint.validation import load_config
from rsmoe_core.checkpoint.weights import read_base, read_roles
from rsmoe_core.model.language.decoder import Decoder
from rsmoe_core.model.language.native import RoleDecoders
from rsmoe_core.model.rsmoe import RSMoE, build_on_meta
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
