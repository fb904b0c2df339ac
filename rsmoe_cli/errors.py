"""Errors about scenes and outputs; they extend the tree in `rsmoe_core.errors`.

RsmoeError                  exit code 1
├── UsageError              exit code 2 (from the core)
├── SceneError              a raster that is missing, unreadable or has no usable band
└── OutputError             an output that exists already or cannot be written
"""

from rsmoe_core.errors import RsmoeError


class SceneError(RsmoeError):
    """A raster is missing, unreadable or has nothing that can be shown as an image."""


class OutputError(RsmoeError):
    """An output exists already, or cannot be written."""
