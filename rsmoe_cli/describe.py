"""The journey of captions, on one page.

scene → tiles → pictures → batches → engine → rows → output
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from rsmoe_cli import journey, provenance
from rsmoe_cli.caption_rows import COLUMNS, PROMPT_COLUMNS, described, failed
from rsmoe_cli.georeference import Footprints
from rsmoe_cli.journey import Told, travel
from rsmoe_cli.raster import Scene
from rsmoe_cli.reading import ReadingLog, TileImage
from rsmoe_cli.records import Row, tile_layer
from rsmoe_cli.sinks import Output, warn_unplaced
from rsmoe_cli.tally import Summary, Tally
from rsmoe_cli.tiling import Grid
from rsmoe_core.types import Description, Request


class Engine(journey.Engine, Protocol):
    """An engine that describes."""

    def describe(self, requests: Sequence[Request]) -> list[Description]:
        """Descriptions in the order of the requests."""


def describe_scene(
    scene: Scene,
    grid: Grid,
    engine: Engine,
    output: Output,
    batch_size: int,
    prompts: bool = False,
    progress: bool = False,
) -> Summary:
    """Describes every tile that has a valid pixel, and writes the rows to the output in tile order.

    A tile that cannot be read or described becomes a row with the status `failed` and does not stop the others.

    Raises:
        OutputError: the output cannot be written.
    """
    start = time.monotonic()
    tally, log, first = Tally(), ReadingLog(), 0.0
    crs = scene.georeference.crs
    target = output.target(crs)
    footprints = Footprints(scene.georeference, target)
    layer = tile_layer("captions", {**COLUMNS, **PROMPT_COLUMNS} if prompts else COLUMNS, target, crs)
    with output.open(layer) as sink:
        for batch in travel(scene, grid, engine, _request, engine.describe, batch_size, "captioning", progress, log):
            rows = [row for told in batch if (row := _row(told, footprints)) is not None]
            for told in batch:
                tally.count(told.result, told.to(0))
            tally.unplaced += sum(row.geometry is None for row in rows)
            sink.write(rows)
            first = first or time.monotonic() - start
        sink.finish(
            {
                **provenance.of_scene(scene, grid),
                **provenance.of_engine(engine),
                **provenance.of_file(layer.crs),
                "tiles_captioned": tally.told,
                "tiles_skipped": tally.skipped,
                "tiles_failed": tally.failed,
                "coverage": tally.coverage,
            }
        )
    warn_unplaced(tally.unplaced)
    seconds = time.monotonic() - start
    return Summary(
        scene=scene.path,
        output=str(output.path),
        model=engine.name,
        tiles=len(grid),
        captioned=tally.told,
        skipped=tally.skipped,
        failed=tally.failed,
        seconds=round(seconds, 3),
        tiles_per_second=round(len(grid) / seconds, 2),
        first_seconds=round(first, 3),
        waited_seconds=round(log.waited_seconds, 3),
        coverage=tally.coverage,
    )


def _request(image: TileImage) -> list[Request]:
    return [Request(image.pixels, image.valid)]


def _row(told: Told[Description], footprints: Footprints) -> Row | None:
    """The row of a tile; a blank tile has none."""
    tile, said = told.result.tile, told.to(0)
    if said is None:
        return None
    footprint = footprints.of(tile.box)
    if isinstance(said, Description):
        return described(tile, said, told.valid_fraction, footprint)
    return failed(tile, said, told.valid_fraction, footprint)
