"""rsmoe_core knows pixels and language: the RS-MoE model, its training and its scores. It reads no maps.

from rsmoe_core import load
engine = load("nano")
engine.caption(images)          # HxWx3 uint8 arrays or PIL images → list of Description
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsmoe_core.engine import Engine, load
    from rsmoe_core.types import Description, Request

__all__ = ["Description", "Engine", "Request", "load"]

_HOMES = {"Engine": "engine", "load": "engine", "Description": "types", "Request": "types"}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: `rsmoe --help` needs neither torch nor numpy."""
    if name in _HOMES:
        return getattr(import_module(f"rsmoe_core.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'rsmoe_core' has no attribute '{name}'")
