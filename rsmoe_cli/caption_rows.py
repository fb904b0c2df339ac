"""Tile + words → one row of the layer `captions`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from shapely.geometry.base import BaseGeometry

from rsmoe_cli.records import Row, tile_values
from rsmoe_cli.tiling import Tile
from rsmoe_core.types import EXPERTS, Description

COLUMNS: Mapping[str, type] = MappingProxyType(
    {
        "tile_id": str,  # such as r0003c0012
        "row": int,
        "col": int,
        "caption": str,  # the fused sentence
        "theme": str,  # drafts of the three experts
        "objects": str,
        "relations": str,
        "confidence": float,  # how sure the engine is of its caption, 0-1
        "valid_fraction": float,  # valid share of the tile's pixels within the scene; null if it could not be read
        "status": str,  # ok, or failed
        "error": str,
    }
)
"""Columns of every output and their types; any but tile_id, row, col and status may be null."""

SCENE_COLUMN: Mapping[str, type] = MappingProxyType({"scene": str})
"""Column that comes first where several scenes share a map."""

PROMPT_COLUMNS: Mapping[str, type] = MappingProxyType({f"prompt_{expert}": str for expert in EXPERTS})
"""Columns that `--prompts` adds."""


def described(
    tile: Tile, description: Description, valid_fraction: float | None, footprint: BaseGeometry | None
) -> Row:
    """The row of a tile that has a caption."""
    words = {
        "caption": description.caption,
        "theme": description.theme,
        "objects": description.objects,
        "relations": description.relations,
        "confidence": description.confidence,
        **{f"prompt_{expert}": prompt for expert, prompt in description.prompts.items()},
    }
    return Row(tile.id, {**tile_values(tile, valid_fraction), **words}, footprint)


def failed(tile: Tile, error: str, valid_fraction: float | None, footprint: BaseGeometry | None) -> Row:
    """The row of a tile that could not be read or described."""
    return Row(tile.id, tile_values(tile, valid_fraction, error), footprint)
