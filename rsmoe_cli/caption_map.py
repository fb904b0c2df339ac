"""The journal of a run → the map of its captions, with where it comes from."""

from __future__ import annotations

import dataclasses

from pyproj import CRS

from rsmoe_cli import provenance
from rsmoe_cli.caption_rows import COLUMNS, PROMPT_COLUMNS, SCENE_COLUMN
from rsmoe_cli.folders import sweep
from rsmoe_cli.journal import Journal
from rsmoe_cli.journey import Engine
from rsmoe_cli.records import Row, tile_layer
from rsmoe_cli.sinks import Output, warn_unplaced
from rsmoe_cli.tally import Tally

_CHUNK = 500
"""Rows that are taken out of the journal at a time."""


def write_map(journal: Journal, output: Output, engine: Engine, prompts: bool) -> None:
    """Writes the rows of all tiles in their order, one chunk after the other; the file appears when it is whole.

    Raises:
        OutputError: the file cannot be written; the journal stays as it is.
    """
    sweep(output.path)
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


def _counts(tally: Tally) -> dict[str, object]:
    return {
        "tiles_captioned": tally.told,
        "tiles_skipped": tally.skipped,
        "tiles_failed": tally.failed,
        "coverage": tally.coverage,
    }
