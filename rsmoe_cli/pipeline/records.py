"""What a journal records of scenes and tiles, and how it is compared with what is there now."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from shapely.geometry.base import BaseGeometry

from rsmoe_cli.pipeline.run import Outcome, TileOutput, Value
from rsmoe_cli.raster.georeference import Footprints
from rsmoe_cli.tiles.grid import Grid, Tile
from rsmoe_cli.tiles.image import TileImage

_MAX_QUOTED = 80
"""Characters of a value that is quoted in a message."""


@dataclass(frozen=True)
class SceneRecord:
    """A scene and how it was read."""

    path: str
    """The scene as named by the user."""
    file_signature: str
    """Size and time of its files."""
    crs: str | None
    """Its own reference system, as WKT."""
    facts: Mapping[str, object]
    """Its entries in the metadata of the output."""
    grid: Grid | None
    """Its tiles; None where none are needed."""

    @property
    def identity(self) -> dict[str, object]:
        """What must not change between two runs, by the names that users know."""
        return {"the state of its files": self.file_signature, **self.facts}

    @property
    def metres_per_pixel(self) -> float | None:
        """Ground sample distance; None if it is unknown."""
        value = self.facts.get("metres_per_pixel")
        return value if isinstance(value, float) else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about it, one sentence each."""
        notes = self.facts.get("warnings")
        return tuple(map(str, notes)) if isinstance(notes, list) else ()

    @property
    def tiles(self) -> int:
        """Number of its tiles."""
        return 0 if self.grid is None else len(self.grid)


@dataclass(frozen=True)
class TileRecord(Generic[Value]):
    """The outcomes for one tile, and what the tile stands for; its image is not kept."""

    tile: Tile
    outcomes: tuple[Outcome[Value], ...]
    """One for the description, or one for each question; empty for a tile without a valid pixel."""
    owned_valid_pixels: int
    """Valid scene pixels in the area that the tile owns; all pixels of that area, if the tile could not be read."""
    valid_pixels: int | None
    """Valid scene pixels under the tile; None if it could not be read."""
    side: int | None
    """Pixels a side of the image that the engine was given; None if the tile could not be read."""
    footprint: BaseGeometry | None = None
    """In the reference system of the output; None where the ground is undefined."""

    @classmethod
    def of(cls, output: TileOutput[Value], footprints: Footprints | None) -> TileRecord[Value]:
        """What is recorded of a tile. A blank one needs no footprint, and a run without an output needs none."""
        result, outcomes = output.result, output.outcomes
        tile = result.tile
        footprint = footprints.of(tile.rect) if footprints is not None and outcomes else None
        if not isinstance(result, TileImage):
            return cls(tile, outcomes, tile.owned_pixels, None, None, footprint)
        return cls(tile, outcomes, result.owned_valid_pixels, result.valid_pixels, len(result.pixels), footprint)

    @property
    def status(self) -> str:
        """`blank`, `failed` if any of its outcomes is an error, or `ok`."""
        if not self.outcomes:
            return "blank"
        return "ok" if all(outcome.error is None for outcome in self.outcomes) else "failed"

    @property
    def valid_fraction(self) -> float | None:
        """Share of the tile's pixels that are valid, 0-1; None if it could not be read."""
        return None if self.valid_pixels is None else self.valid_pixels / self.tile.pixels


@dataclass(frozen=True)
class Codec(Generic[Value]):
    """How the values that an engine returns become JSON, and come back unchanged."""

    encode: Callable[[Value], object]
    decode: Callable[[Any], Value]

    def dumps(self, outcomes: tuple[Outcome[Value], ...]) -> str:
        """Outcomes as text: an error is a string, a value anything else."""
        encoded = [o.error if o.value is None else self.encode(o.value) for o in outcomes]
        return json.dumps(encoded, ensure_ascii=False)

    def loads(self, text: str) -> tuple[Outcome[Value], ...]:
        """The outcomes again."""
        return tuple(
            Outcome(error=item) if isinstance(item, str) else Outcome(self.decode(item)) for item in json.loads(text)
        )


def changes(old: Mapping[str, object], new: Mapping[str, object]) -> str:
    """The differences between two mappings, old and new value of each, on one line; empty if they are equal.

    `old` was read from JSON; `new` is compared as if it had been.
    """
    current = json.loads(json.dumps(dict(new)))
    return "; ".join(
        f"{name} was {_quoted(old.get(name))} and is {_quoted(current.get(name))}"
        for name in dict.fromkeys((*old, *current))
        if old.get(name) != current.get(name)
    )


def _quoted(value: object) -> str:
    if value is None:
        return "not given"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{textwrap.shorten(text, _MAX_QUOTED, placeholder=' ...')}'"
