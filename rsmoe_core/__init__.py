"""rsmoe_core knows pixels and language: the RS-MoE model, its training and its evaluation. It reads no rasters.

from rsmoe_core import load
engine = load("nano")                         # or a folder, a hub id; connect(URL, NAME) for a model behind a server
engine.caption(images)                        # HxWx3 uint8 arrays or PIL images → list of Description
engine.ask(images, "How many ships?")         # → list of Answer
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsmoe_core.engine import Engine
    from rsmoe_core.loading import connect, load
    from rsmoe_core.types import Answer, Description, Request

__all__ = ["Answer", "Description", "Engine", "Request", "connect", "load"]

_MODULES = {
    "Engine": "engine",
    "load": "loading",
    "connect": "loading",
    "Answer": "types",
    "Description": "types",
    "Request": "types",
}


def __getattr__(name: str) -> Any:
    """Import lazily: `rsmoe --help` needs neither torch nor numpy."""
    if name in _MODULES:
        return getattr(import_module(f"rsmoe_core.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'rsmoe_core' has no attribute '{name}'")
