"""Tile + answer → one row of the layer `answers`; thing → one point of the layer `found`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from shapely.geometry.base import BaseGeometry

from rsmoe_cli.journey import Told
from rsmoe_cli.records import Row, tile_values
from rsmoe_cli.weighing.heard import Thing
from rsmoe_core.inquiry import Inquiry
from rsmoe_core.types import Answer

COLUMNS: Mapping[str, type] = MappingProxyType(
    {
        "scene": str,
        "question": str,
        "tile_id": str,  # such as r0003c0012
        "row": int,
        "col": int,
        "answer": str,  # what the engine says of the tile alone
        "confidence": float,  # probability that it is right, 0-1
        "evidence": str,
        "count": float,  # how many of what is asked about the whole tile holds; neighbours count their overlap twice
        "valid_fraction": float,  # valid share of the tile's pixels within the scene; null if it could not be read
        "status": str,  # ok, or failed
        "error": str,
    }
)
"""Columns of the tiles; any but the first five and status may be null."""

FOUND_COLUMNS: Mapping[str, type] = MappingProxyType(
    {"thing": str, "confidence": float, "tile_id": str, "question": str, "scene": str}
)
"""Columns of the points."""


def tile_row(
    row_id: str,
    scene: str,
    inquiry: Inquiry,
    told: Told[Answer],
    said: Answer | str,
    footprint: BaseGeometry | None,
) -> Row:
    """What the engine said about a tile, or one line on why it said nothing."""
    values = {
        "scene": scene,
        "question": inquiry.text,
        **tile_values(told.result.tile, told.valid_fraction, said if isinstance(said, str) else None),
    }
    if isinstance(said, Answer):
        values |= {
            "answer": said.text,
            "confidence": said.confidence if math.isfinite(said.confidence) else None,
            "evidence": said.evidence or None,
            "count": None if inquiry.thing is None else said.counts.get(inquiry.thing),
        }
    return Row(row_id, values, footprint)


def found_row(row_id: str, scene: str, question: str, thing: Thing, point: BaseGeometry | None) -> Row:
    """A thing that was counted."""
    values = {
        "thing": thing.thing,
        "confidence": thing.confidence,
        "tile_id": thing.tile.id,
        "question": question,
        "scene": scene,
    }
    return Row(row_id, values, point)
