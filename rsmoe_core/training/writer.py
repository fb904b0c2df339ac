"""A model in training → the same model in the form in which it is used, which writes many times as fast."""

from __future__ import annotations

from rsmoe_core.model import lora
from rsmoe_core.model.decoder import Decoder
from rsmoe_core.model.roles import NO_ROLE
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.model.writing import Voices


def writer_of(model: RSMoE) -> RSMoE:
    """The model with a decoder for each role, which has the weights of this moment; it writes greedily.

    Image encoder, Q-Former and counters are the model's own, and are in evaluation mode from now on.
    """
    languages = {role: lora.merged(model.language, role) for role in model.roles} if model.has_experts else {}
    states = {role: language.state_dict() for role, language in languages.items()}
    states[NO_ROLE] = lora.bare(model.language).state_dict() if model.has_experts else model.language.state_dict()
    voices = Voices({role: Decoder(model.config.language, state) for role, state in states.items()})
    return RSMoE(model.config, model.codec, model.vision, model.qformer, voices, model.counters).eval()
