"""A model in training → the same model in the form in which it is used, which writes many times as fast."""

from __future__ import annotations

from rsmoe_core.checkpoint import base_state
from rsmoe_core.model import lora
from rsmoe_core.model.decoder import Decoder
from rsmoe_core.model.roles import NO_ROLE
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.model.writing import Voices

_LANGUAGE = "language."


def writer_of(model: RSMoE) -> RSMoE:
    """The model with a decoder for each role, which has the weights of this moment; it writes greedily.

    Image encoder, Q-Former and counters are the model's own, and are in evaluation mode from now on.
    """
    roles = model.roles if model.has_experts else ()
    states = {role: lora.merged(model.language, role).state_dict() for role in roles}
    base = {key: value for key, value in base_state(model).items() if key.startswith(_LANGUAGE)}
    states[NO_ROLE] = {key.removeprefix(_LANGUAGE): value.clone() for key, value in base.items()}
    voices = Voices({role: Decoder(model.config.language, state) for role, state in states.items()})
    writer = RSMoE(model.config, model.codec, model.vision, model.qformer, voices, model.counters)
    return writer.to(model.qformer.queries.device).eval()
