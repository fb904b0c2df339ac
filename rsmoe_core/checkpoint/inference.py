"""Model folder → a model ready for use: each role's adapter merged into weights of its own, nothing left to train.

`checkpoint.load_model` reads the same folders into the form that is trained, for which it needs transformers and peft.
Here neither is imported, so that a single picture is described within seconds.

A model in training → the same model in the form in which it is used, which writes many times as fast.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from rsmoe_core.checkpoint import expected
from rsmoe_core.checkpoint.adapters import read_adapters
from rsmoe_core.checkpoint.load import base_state, load_config, load_model, read_base, read_copies
from rsmoe_core.config import ModelConfig
from rsmoe_core.model import lora
from rsmoe_core.model.language.decoder import Decoder
from rsmoe_core.model.language.generation import RoleDecoders
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.model.tokenizer import Tokenizer
from rsmoe_core.model.vision.efficientnet_lite import fold_batch_norms
from rsmoe_core.roles import ADAPTERS, BASE

_LANGUAGE = "language."


def load_for_inference(folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> RSMoE:
    """Read a model folder into memory on `device`, for use only; it computes in `dtype`.

    A model whose fused text is the best of several beams is read by `load_model`, as decoders write greedily.
    Raises ModelError that names the file which is missing, truncated or does not fit the others.
    """
    config = load_config(folder)
    if config.decoding.beams > 1:
        return _for_use(load_model(folder, device), dtype)
    model = expected.meta_model(config, Tokenizer.load(folder, config.experts, config.language.vocab_size))
    state = read_base(folder, model)
    language = {key.removeprefix(_LANGUAGE): state.pop(key) for key in list(state) if key.startswith(_LANGUAGE)}
    model.load_state_dict(state, assign=True)
    fold_batch_norms(model.vision)
    states = {BASE: language, **_states(folder, config, language)}
    model.language = RoleDecoders({role: Decoder(config.language, own) for role, own in states.items()})
    return _for_use(model.to(device), dtype)


def _for_use(model: RSMoE, dtype: torch.dtype) -> RSMoE:
    """The detectors stay in float32: their thresholds were settled in it."""
    for part in (model.vision, model.qformer, model.language):
        part.to(dtype)
    return model.eval().requires_grad_(False)


def _states(folder: Path, config: ModelConfig, language: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Weights of each role's language model; none for a stage-1 model."""
    if not config.share_base:
        return read_copies(folder, config)
    if not (folder / ADAPTERS).is_dir():
        return {}
    scale = config.lora.alpha / config.lora.rank
    return {role: _merged(language, own, scale) for role, own in read_adapters(folder, config).items()}


def _merged(language: dict[str, Tensor], adapter: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """The language model's weights with an adapter's low-rank products added to some of them."""
    merged = dict(language)
    for key in [key for key in adapter if key.endswith(".lora_A.weight")]:
        # peft writes `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`
        target = key.removeprefix("base_model.model.").replace(".lora_A", "")
        merged[target] = language[target] + scale * adapter[key.replace("lora_A", "lora_B")] @ adapter[key]
    return merged


def for_inference(model: RSMoE) -> RSMoE:
    """The model with a decoder for each role, which has the weights of this moment; it writes greedily.

    Image encoder, Q-Former and detectors are the model's own, and are in evaluation mode from now on.
    """
    roles = model.roles if model.has_experts else ()
    states = {role: lora.merged(model.language, role).state_dict() for role in roles}
    base = {key: value for key, value in base_state(model).items() if key.startswith(_LANGUAGE)}
    states[BASE] = {key.removeprefix(_LANGUAGE): value.clone() for key, value in base.items()}
    voices = RoleDecoders({role: Decoder(model.config.language, state) for role, state in states.items()})
    writer = RSMoE(model.config, model.tokenizer, model.vision, model.qformer, voices, model.detectors)
    return writer.to(model.qformer.queries.device).eval()
