"""The journey of captions, on one page. What is done is kept in the journal, and an interrupted run goes on from there.

scene, scene, ... → tiles → pictures → batches → engine → rows → journal → output

What is to be captioned, and how.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rsmoe_cli.captioning.layer import described, failed, write_map
from rsmoe_cli.errors import OutputError, SceneError
from rsmoe_cli.formats.base import Row
from rsmoe_cli.formats.output import Output
from rsmoe_cli.pipeline import provenance, run
from rsmoe_cli.pipeline.inputs import TilingOptions, file_signature
from rsmoe_cli.pipeline.journal import Journal, SceneRecord, TileRecord
from rsmoe_cli.pipeline.run import TileOutput, run_tiles
from rsmoe_cli.pipeline.stats import Summary, seen_pixels
from rsmoe_cli.raster.georeference import Footprints
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileImage
from rsmoe_cli.tiles.prefetch import ReadingLog
from rsmoe_core.errors import RsmoeError
from rsmoe_core.types import Description, Request

log = logging.getLogger(__name__)


class Engine(run.Engine, Protocol):
    """An engine that describes."""

    def describe(self, requests: Sequence[Request]) -> list[Description]:
        """Descriptions in the order of the requests."""


def describe_scenes(
    wish: CaptionJob, engine: Engine, output: Output, journal: Journal, progress: bool = False
) -> Summary:
    """Describes every tile that has a valid pixel, and writes the rows to the output, in the order of scenes and tiles.

    A tile that cannot be read or described becomes a row with the status `failed` and does not stop the others, nor
    does one of several scenes that cannot be opened. Tiles that the journal has are passed over; it has been begun.

    Raises:
        SceneError: the only scene, or none of several, can be opened.
        OutputError: the output cannot be written, or a scene has changed since the journal was begun.
    """
    pace, earlier = _Pace(), journal.count()
    for number, path in enumerate(wish.scenes):
        try:
            looked = _look_at(number, path, wish, engine, output, journal)
        except RsmoeError as error:
            if not output.together:
                raise
            log.warning("left out: %s", error)
            journal.lose_scene(number, path, str(error))
            continue
        if looked is not None:
            _tell_notes(looked.scene, output)
            _describe(number, looked, engine, journal, progress, pace, wish.counts)
    if len(journal.lost_scenes()) == len(wish.scenes):
        raise SceneError(f"none of the {len(wish.scenes)} scenes can be captioned; the warnings above say why")
    journal.finishing()
    try:
        write_map(journal, output, engine, wish.prompts)
    except OutputError as error:
        raise OutputError(f"{error} What is done is kept, and the same command goes on from there") from error
    summary = _summary(wish, engine, output, journal, earlier, pace)
    journal.finish()
    return summary


@dataclass
class _Pace:
    """How a run goes."""

    start: float = field(default_factory=time.monotonic)
    first: float = 0.0
    """Seconds until the first batch was kept."""
    reading: ReadingLog = field(default_factory=ReadingLog)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start


@dataclass(frozen=True)
class _Looked:
    """A scene that was opened, and how it is to be cut and put on the map."""

    scene: Scene
    grid: Grid
    footprints: Footprints
    mark: str
    """What tells that it has not changed since."""


def _look_at(
    number: int, path: str, wish: CaptionJob, engine: Engine, output: Output, journal: Journal
) -> _Looked | None:
    """None if the journal has all of the scene."""
    mark = file_signature(path, wish.cutting.allow_external)
    if journal.has_all_of(number, mark):
        return None
    scene = wish.cutting.open(path)
    footprints = Footprints(scene.georeference, output.target(scene.georeference.crs, path))
    return _Looked(scene, wish.cutting.grid(scene, engine.image_size), footprints, mark)


def _describe(
    number: int, looked: _Looked, engine: Engine, journal: Journal, progress: bool, pace: _Pace, counts: bool
) -> None:
    """Keeps what the engine says of the tiles that the journal lacks."""
    scene, grid = looked.scene, looked.grid
    done = journal.begin_scene(number, _kept_scene(looked, counts))
    metres = scene.metres_per_pixel if counts else None  # an engine that knows the distance counts

    def request(image: TileImage) -> list[Request]:
        return [Request(image.pixels, image.valid, metres_per_pixel=image.metres_per_pixel(metres))]

    for batch in run_tiles(scene, grid, engine, request, engine.describe, "captioning", progress, done, pace.reading):
        journal.keep(number, [_kept_tile(told, grid, looked.footprints) for told in batch])
        pace.first = pace.first or pace.seconds


def _summary(wish: CaptionJob, engine: Engine, output: Output, journal: Journal, earlier: int, pace: _Pace) -> Summary:
    """`earlier` tiles were in the journal when this run began."""
    tally, seconds = journal.tally(), pace.seconds
    tiles = tally.told + tally.skipped + tally.failed
    return Summary(
        scene=wish.scenes[0] if len(wish.scenes) == 1 else f"{len(wish.scenes)} scenes",
        output=str(output.path),
        model=engine.name,
        tiles=tiles,
        captioned=tally.told,
        skipped=tally.skipped,
        failed=tally.failed,
        resumed=earlier,
        lost_scenes=len(journal.lost_scenes()),
        seconds=round(seconds, 3),
        tiles_per_second=round((tiles - earlier) / seconds, 2),
        first_seconds=round(pace.first, 3),
        waited_seconds=round(pace.reading.waited_seconds, 3),
        coverage=tally.coverage,
    )


def _tell_notes(scene: Scene, output: Output) -> None:
    for note in (*scene.notes, *output.notes(scene.georeference.crs)):
        log.warning("%s%s", f"{scene.path}: " if output.together else "", note)


def _kept_scene(looked: _Looked, counts: bool) -> SceneRecord:
    crs = looked.scene.georeference.crs
    wkt = None if crs is None else crs.to_wkt()
    made = {**provenance.of_scene(looked.scene, looked.grid), "amounts": "counted" if counts else "as written"}
    return SceneRecord(looked.scene.path, looked.mark, wkt, made, len(looked.grid))


def _kept_tile(told: TileOutput[Description], grid: Grid, footprints: Footprints) -> TileRecord:
    return TileRecord(grid.number(told.result.tile), seen_pixels(told.result), _row(told, footprints))


def _row(told: TileOutput[Description], footprints: Footprints) -> Row | None:
    """The row of a tile; a blank tile has none."""
    tile, said = told.result.tile, told.to(0)
    if said is None:
        return None
    footprint = footprints.of(tile.rect)
    if isinstance(said, Description):
        return described(tile, said, told.valid_fraction, footprint)
    return failed(tile, said, told.valid_fraction, footprint)


@dataclass(frozen=True)
class CaptionJob:
    """What is to be captioned, and how; with another wish, what a journal has kept is of no use."""

    scenes: Sequence[str]
    """As named by the user, in order."""
    cutting: TilingOptions
    """How they are drawn and cut."""
    dst_crs: str | None = None
    """Reference system that was asked for."""
    prompts: bool = False
    """Whether the router's prompts are kept."""
    counts: bool = False
    """Whether amounts are put right by counting."""

    def settings(self, engine: Engine) -> dict[str, object]:
        """All that decides what will be in the output, by the names that users know."""
        return {
            "the list of scenes": list(self.scenes),
            "--bands": self.cutting.bands,
            "--stretch": self.cutting.stretch,
            "--tile-size": self.cutting.tile_size,
            "--overlap": self.cutting.overlap,
            "--dst-crs": self.dst_crs,
            "--prompts": self.prompts,
            "--counts": self.counts,
            "the model": f"{engine.name} {engine.revision}",
            "its number format": engine.dtype,
        }
