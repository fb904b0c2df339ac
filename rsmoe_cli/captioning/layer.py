"""The journal of a run → the map of its captions, with where it comes from.

Tile + words → one row of the layer `captions`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from rsmoe_cli.atomic import clean_stale
from rsmoe_cli.formats.base import Row, tile_layer, tile_values
from rsmoe_cli.formats.output import Output, warn_unplaced
from rsmoe_cli.pipeline import provenance
from rsmoe_cli.pipeline.journal import Journal
from rsmoe_cli.pipeline.run import Engine
from rsmoe_cli.pipeline.stats import TileStats
from rsmoe_cli.tiles.grid import Tile
from rsmoe_core.types import EXPERTS, Description

_CHUNK = 500
"""Rows that are taken out of the journal at a time."""


def write_map(journal: Journal, output: Output, engine: Engine, prompts: bool) -> None:
    """Writes the rows of all tiles in their order, one chunk after the other; the file appears when it is whole.

    Raises:
        OutputError: the file cannot be written; the journal stays as it is.
    """
    clean_stale(output.path)
    scenes = dict(journal.scenes())
    own = next((CRS.from_wkt(scene.crs) for scene in scenes.values() if scene.crs is not None), None)
    target = output.target(own)
    columns = {**COLUMNS, **PROMPT_COLUMNS} if prompts else COLUMNS
    layer = tile_layer("captions", {**SCENE_COLUMN, **columns} if output.together else columns, target, own)
    with output.open(layer) as sink:
        held: list[Row] = []
        for number, row in journal.rows():
            held.append(_of_scene(row, number, scenes[number].path) if output.together else row)
            if len(held) == _CHUNK:
                sink.write(held)
                held = []
        sink.write(held)
        found = [{**scene.facts, **_counts(journal.tally(number))} for number, scene in scenes.items()]
        several = {"scenes": found, "scenes_lost": journal.lost_scenes(), **_counts(journal.tally())}
        sink.finish(
            {
                **(several if output.together else found[0]),
                **provenance.of_engine(engine),
                **provenance.of_file(layer.crs),
            }
        )
    warn_unplaced(journal.tally().unplaced)


def _of_scene(row: Row, number: int, path: str) -> Row:
    """The row among those of other scenes."""
    return dataclasses.replace(row, id=f"{number + 1}.{row.id}", values={"scene": path, **row.values})


def _counts(tally: TileStats) -> dict[str, object]:
    return {
        "tiles_captioned": tally.told,
        "tiles_skipped": tally.skipped,
        "tiles_failed": tally.failed,
        "coverage": tally.coverage,
    }


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
