"""Tile + words → one row of the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from rsmoe_cli.tiling import Tile
from rsmoe_core.types import EXPERTS, Description

COLUMNS: Mapping[str, type] = MappingProxyType(
    {
        "tile_id": str,
        "row": int,
        "col": int,
        "caption": str,
        "theme": str,
        "objects": str,
        "relations": str,
        "confidence": float,
        "valid_fraction": float,
        "status": str,
        "error": str,
    }
)
"""Columns of every output and their types; any but tile_id, row, col and status may be null."""

PROMPT_COLUMNS: Mapping[str, type] = MappingProxyType({f"prompt_{expert}": str for expert in EXPERTS})
"""Columns that `--prompts` adds."""


@dataclass(frozen=True)
class Layer:
    """What the rows of one output have in common."""

    columns: Mapping[str, type]
    """Columns and their types."""
    crs: CRS | None
    """Reference system of the footprints; None if the scene has none."""
    cut: bool = False
    """Whether footprints may be in two parts, because they are cut at the 180th meridian."""


@dataclass(frozen=True)
class CaptionRecord:
    """One row: what was said about a tile, or why nothing was."""

    tile_id: str
    """Name of the tile, such as `r0003c0012`."""
    row: int
    """Row of the grid, 0 at the top."""
    col: int
    """Column of the grid, 0 at the left."""
    caption: str | None
    """The fused sentence."""
    theme: str | None
    """Draft of the theme expert."""
    objects: str | None
    """Draft of the objects expert."""
    relations: str | None
    """Draft of the relations expert."""
    confidence: float | None
    """How sure the engine is of its caption, 0-1."""
    valid_fraction: float | None
    """Share of the tile's pixels within the scene that are valid; None if the tile could not be read."""
    status: Literal["ok", "failed"]
    """Whether the tile has a caption."""
    error: str | None
    """One line that says why a tile failed."""
    geometry: BaseGeometry | None = None
    """Footprint in the reference system of the output; None where the ground is undefined."""
    prompts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The router's prompt for each expert."""

    def values(self, columns: Mapping[str, type]) -> dict[str, object]:
        """The row's values, by column."""
        prompts = {f"prompt_{expert}": prompt for expert, prompt in self.prompts.items()}
        return {name: prompts.get(name) if name in PROMPT_COLUMNS else getattr(self, name) for name in columns}


def described(
    tile: Tile, description: Description, valid_fraction: float, footprint: BaseGeometry | None
) -> CaptionRecord:
    """The row of a tile that has a caption."""
    return CaptionRecord(
        tile_id=tile.id,
        row=tile.row,
        col=tile.col,
        caption=description.caption,
        theme=description.theme,
        objects=description.objects,
        relations=description.relations,
        confidence=description.confidence,
        valid_fraction=valid_fraction,
        status="ok",
        error=None,
        geometry=footprint,
        prompts=description.prompts,
    )


def failed(tile: Tile, error: str, valid_fraction: float | None, footprint: BaseGeometry | None) -> CaptionRecord:
    """The row of a tile that could not be read or described."""
    return CaptionRecord(
        tile_id=tile.id,
        row=tile.row,
        col=tile.col,
        caption=None,
        theme=None,
        objects=None,
        relations=None,
        confidence=None,
        valid_fraction=valid_fraction,
        status="failed",
        error=error,
        geometry=footprint,
    )
