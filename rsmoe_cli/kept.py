"""What a journal keeps of scenes and tiles, and how it is told that something is not as it was."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from rsmoe_cli.records import Row

_SHOWN = 80
"""Characters of a value that is quoted."""


@dataclass(frozen=True)
class KeptScene:
    """A scene, and what was decided about it."""

    path: str
    """The scene as named by the user."""
    stamp: str
    """What its files look like from outside; see `scenes.stamp`."""
    crs: str | None
    """Its own reference system, as WKT."""
    facts: Mapping[str, object]
    """What the metadata of the output say of it."""
    tiles: int
    """Tiles of its grid."""

    @property
    def signs(self) -> dict[str, object]:
        """What it is recognised by."""
        return {"the state of its files": self.stamp, **self.facts}


@dataclass(frozen=True)
class KeptTile:
    """What became of one tile."""

    number: int
    """Its place in the order of the grid, from 0."""
    pixels: int
    """Valid scene pixels in the area that it owns."""
    row: Row | None
    """Its row in the output; a blank tile has none."""


def changes(old: Mapping[str, object], new: Mapping[str, object]) -> str:
    """What differs, and how it was and is, on one line; empty if nothing does. `old` has been JSON, `new` may be."""
    is_now = json.loads(json.dumps(dict(new)))
    return "; ".join(
        f"{name} was {_shown(old.get(name))} and is {_shown(is_now.get(name))}"
        for name in dict.fromkeys((*old, *is_now))
        if old.get(name) != is_now.get(name)
    )


def _shown(value: object) -> str:
    if value is None:
        return "not given"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{textwrap.shorten(text, _SHOWN, placeholder=' ...')}'"
