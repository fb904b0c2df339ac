"""The roles that one language model plays, by name. Free of peft and transformers, which take seconds to import.

The fixed instructions, the same in training and in use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ROUTER, FUSION = "router", "fusion"
NO_ROLE = "__base__"
"""peft's name for the model without any adapter."""
ADAPTERS, ADAPTER_WEIGHTS = "adapters", "adapter_model.safetensors"
"""Folder of the roles' adapters in a model folder, and the file in each of them."""


def roles(experts: Sequence[str]) -> tuple[str, ...]:
    """Every role of a model with these experts, in the order in which they speak."""
    return (ROUTER, *experts, FUSION)


CAPTION = "describe the picture"
"""The instruction of the caption task; router and fusion read it."""

ANSWERING: Mapping[str, tuple[str, ...]] = {
    "presence": ("theme", "objects"),
    "count": ("objects",),
    "comparison": ("objects",),
    "color": ("objects",),
    "theme": ("theme",),
    "rural_urban": ("theme",),
    "location": ("relations",),
    "relation": ("relations",),
}
"""Kind of question → the experts that can help with it; the router learns to ask these and to skip the others."""

DEFAULT_PROMPTS: Mapping[str, str] = {
    "theme": "name the kind of place",
    "objects": "name the objects and how many there are",
    "relations": "say how the objects lie to each other",
}
"""What an expert is asked where the router has nothing more particular to ask."""
