"""The journey of captions, on one page. What is done is kept in the journal, and an interrupted run goes on from there.

scene, scene, ... → tiles → pictures → batches → engine → rows → journal → output
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

from rsmoe_cli import journey, provenance
from rsmoe_cli.caption_map import write_map
from rsmoe_cli.caption_rows import described, failed
from rsmoe_cli.errors import OutputError, SceneError
from rsmoe_cli.georeference import Footprints
from rsmoe_cli.journal import Journal
from rsmoe_cli.journey import Told, travel
from rsmoe_cli.kept import KeptScene, KeptTile
from rsmoe_cli.raster import Scene
from rsmoe_cli.reading import ReadingLog, TileImage
from rsmoe_cli.records import Row
from rsmoe_cli.scenes import stamp
from rsmoe_cli.sinks import Output
from rsmoe_cli.tally import Summary, seen_pixels
from rsmoe_cli.tiling import Grid
from rsmoe_cli.wish import Wish
from rsmoe_core.errors import RsmoeError
from rsmoe_core.types import Description, Request

log = logging.getLogger(__name__)


class Engine(journey.Engine, Protocol):
    """An engine that describes."""

    def describe(self, requests: Sequence[Request]) -> list[Description]:
        """Descriptions in the order of the requests."""


def describe_scenes(wish: Wish, engine: Engine, output: Output, journal: Journal, progress: bool = False) -> Summary:
    """Describes every tile that has a valid pixel, and writes the rows to the output, in the order of scenes and tiles.

    A tile that cannot be read or described becomes a row with the status `failed` and does not stop the others, nor
    does one of several scenes that cannot be opened. Tiles that the journal has are passed over; it has been begun.

    Raises:
        SceneError: the only scene, or none of several, can be opened.
        OutputError: the output cannot be written, or a scene has changed since the journal was begun.
    """
    start, earlier = time.monotonic(), journal.count()
    reading, first = ReadingLog(), 0.0
    for number, path in enumerate(wish.scenes):
        try:
            mark = stamp(path, wish.cutting.allow_external)
            if journal.has_all_of(number, mark):
                continue
            scene = wish.cutting.open(path)
            grid = wish.cutting.grid(scene, engine.image_size)
            footprints = Footprints(scene.georeference, output.target(scene.georeference.crs, path))
        except RsmoeError as error:
            if not output.together:
                raise
            log.warning("left out: %s", error)
            journal.lose_scene(number, path, str(error))
            continue
        _tell_notes(scene, output)
        done = journal.begin_scene(number, _kept_scene(scene, grid, mark))
        for batch in travel(scene, grid, engine, _request, engine.describe, "captioning", progress, done, reading):
            journal.keep(number, [_kept_tile(told, grid, footprints) for told in batch])
            first = first or time.monotonic() - start
    if len(lost := journal.lost_scenes()) == len(wish.scenes):
        raise SceneError(f"none of the {len(lost)} scenes can be captioned; the warnings above say why")
    journal.finishing()
    try:
        write_map(journal, output, engine, wish.prompts)
    except OutputError as error:
        raise OutputError(f"{error} What is done is kept, and the same command goes on from there") from error
    seconds, tally = time.monotonic() - start, journal.tally()
    tiles = tally.told + tally.skipped + tally.failed
    journal.finish()
    return Summary(
        scene=wish.scenes[0] if len(wish.scenes) == 1 else f"{len(wish.scenes)} scenes",
        output=str(output.path),
        model=engine.name,
        tiles=tiles,
        captioned=tally.told,
        skipped=tally.skipped,
        failed=tally.failed,
        resumed=earlier,
        lost_scenes=len(lost),
        seconds=round(seconds, 3),
        tiles_per_second=round((tiles - earlier) / seconds, 2),
        first_seconds=round(first, 3),
        waited_seconds=round(reading.waited_seconds, 3),
        coverage=tally.coverage,
    )


def _request(image: TileImage) -> list[Request]:
    return [Request(image.pixels, image.valid)]


def _tell_notes(scene: Scene, output: Output) -> None:
    for note in (*scene.notes, *output.notes(scene.georeference.crs)):
        log.warning("%s%s", f"{scene.path}: " if output.together else "", note)


def _kept_scene(scene: Scene, grid: Grid, mark: str) -> KeptScene:
    crs = scene.georeference.crs
    wkt = None if crs is None else crs.to_wkt()
    return KeptScene(scene.path, mark, wkt, provenance.of_scene(scene, grid), len(grid))


def _kept_tile(told: Told[Description], grid: Grid, footprints: Footprints) -> KeptTile:
    return KeptTile(grid.number(told.result.tile), seen_pixels(told.result), _row(told, footprints))


def _row(told: Told[Description], footprints: Footprints) -> Row | None:
    """The row of a tile; a blank tile has none."""
    tile, said = told.result.tile, told.to(0)
    if said is None:
        return None
    footprint = footprints.of(tile.box)
    if isinstance(said, Description):
        return described(tile, said, told.valid_fraction, footprint)
    return failed(tile, said, told.valid_fraction, footprint)
