"""The roles that one language model plays, by name. Free of peft and transformers, which take seconds to import."""

from __future__ import annotations

from collections.abc import Sequence

ROUTER, FUSION = "router", "fusion"
NO_ROLE = "__base__"
"""peft's name for the model without any adapter."""
ADAPTERS, ADAPTER_WEIGHTS = "adapters", "adapter_model.safetensors"
"""Folder of the roles' adapters in a model folder, and the file in each of them."""


def roles(experts: Sequence[str]) -> tuple[str, ...]:
    """Every role of a model with these experts, in the order in which they speak."""
    return (ROUTER, *experts, FUSION)
