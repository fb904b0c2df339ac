"""One run of captioning or asking, from the arguments to the output.

with open_session(job, load_engine, codec, out, options) as session:
    for run in session.run(is_done, predict): ...      # each scene is opened once, and every batch recorded
    with session.open_output(...) as output: ...
    session.finish(...)
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Generic, TypeVar

from pyproj import CRS

from rsmoe_cli.atomic import clean_stale
from rsmoe_cli.errors import OutputError, SceneError
from rsmoe_cli.formats.base import OWN_LAYERS, Layer, Row, Writer
from rsmoe_cli.formats.output import Output, check_output, warn_unplaced
from rsmoe_cli.option_groups import OutputOptions
from rsmoe_cli.pipeline import provenance
from rsmoe_cli.pipeline.inputs import SceneJob
from rsmoe_cli.pipeline.journal import Journal, has_journal, journal_path, open_journal
from rsmoe_cli.pipeline.notes import SceneNotes, distinct_warnings
from rsmoe_cli.pipeline.progress import run_progress
from rsmoe_cli.pipeline.records import Codec, SceneRecord
from rsmoe_cli.pipeline.run import Engine, EngineCall, SceneOutputs, TileJob, Value, run_tiles
from rsmoe_cli.pipeline.scenes import OpenedScene, SceneRun, Scenes, open_first
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.prefetch import ReadingLog
from rsmoe_core.errors import BackendError, RsmoeError, UsageError
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.types import Request

log = logging.getLogger(__name__)

_CHUNK = 500
"""Rows that are written at a time."""


@dataclass
class RunTimer:
    """How long a run takes, and what for."""

    start: float = field(default_factory=time.monotonic)
    first_batch: float = 0.0
    """Seconds until the first batch was recorded; 0 before that."""
    reading: ReadingLog = field(default_factory=ReadingLog)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.start


Batch = TypeVar("Batch")


@contextmanager
def open_session(
    job: SceneJob,
    load_engine: Callable[[], Engine] | None,
    codec: Codec[Value],
    out: Path | None,
    options: OutputOptions = OutputOptions(),
    progress: bool = False,
) -> Iterator[Session[Value]]:
    """Check the output, open the journal and the first scene, and only then load the engine, which takes longest.

    `load_engine` is None where no engine is needed, and `out` where no file is to be written. The first scene that
    cannot be opened is no error yet if there are others.

    Raises:
        SceneError: the only scene cannot be opened.
        UsageError: options that are impossible, or that do not suit the first scene.
        OutputError: the output cannot be written, or its journal belongs to another run.
    """
    if options.retry_failed and options.overwrite:
        raise UsageError("--overwrite discards what --retry-failed keeps; choose one of them")
    if options.retry_failed and out is None:
        raise UsageError("--retry-failed needs the output of an earlier run; name it with --out")
    output = None
    if out is not None:
        may_exist = options.overwrite or options.retry_failed or has_journal(out)
        layers = OWN_LAYERS[job.command]
        output = check_output(out, *job.scenes, overwrite=may_exist, dst_crs=options.dst_crs, layers=layers)
    with open_journal(out, codec) as journal:
        first = open_first(job, output)
        engine = load_engine() if load_engine is not None else None
        if engine is not None:
            log.info("model %s, revision %s, on %s in %s", engine.name, engine.revision, engine.device, engine.dtype)
        journal.begin(job.settings(engine, options.dst_crs), options.overwrite, options.retry_failed)
        yield Session(job, engine, output, journal, first, progress)


class Session(Generic[Value]):
    """A run whose journal is open; `Value` is what the engine returns for each image or question."""

    def __init__(
        self,
        job: SceneJob,
        engine: Engine | None,
        output: Output | None,
        journal: Journal[Value],
        first: Scene | RsmoeError,
        progress: bool,
    ) -> None:
        self.job, self.engine, self.journal, self._progress = job, engine, journal, progress
        self._notes = SceneNotes(len(job.scenes), shows_bands=progress)
        self._scenes = Scenes(job, first, None if engine is None else engine.image_size, output, self._notes)
        if recorded := next(journal.scenes(), None):
            self._scenes.choose_frame(recorded[1].crs is not None)
        self.timer = RunTimer()
        self.resumed = journal.count()
        """Tiles that an earlier run had done."""

    @property
    def output(self) -> Output | None:
        """Where the layers go; None where no file is to be written."""
        return self._scenes.output

    def run(
        self,
        is_done: Callable[[int, str], bool],
        predict: Callable[[Sequence[Request]], Sequence[Sequence[Value]]],
        questions: tuple[ParsedQuestion, ...] = (),
        knows_scale: bool = False,
        facts: Mapping[str, object] | None = None,
    ) -> Iterator[SceneRun]:
        """Run the engine on the tiles that are not recorded yet, and record them; consecutive scenes share batches.

        Yields each scene, in order, as soon as its last tile is recorded. One of several scenes that cannot be opened
        is recorded as failed, and passed over. `is_done` says of a scene, by its number and the signature of its files,
        that nothing of it is left to do; `facts` are added to the entries of each scene in the metadata; the rest is as
        in `EngineCall`.

        Raises:
            SceneError: the only scene, or none of several, can be opened.
            OutputError: a scene has changed since it was recorded, or the journal cannot be written.
            BackendError: the engine stopped working.
        """
        runs = self._open_scenes(is_done, facts or {})
        if self.engine is None:
            yield from runs
            return
        call = EngineCall(self.engine, predict, questions, knows_scale)
        first = next(runs)
        with run_progress(self.job.command, len(self.job.scenes), first, self._progress) as advance:
            batches = run_tiles(((run, run.job) for run in chain([first], runs)), call, self.timer.reading)
            for batch in self._until_it_stops(batches):
                self._record(batch)
                for part in batch:
                    advance(part)
                    if part.is_complete:
                        yield part.key

    def _until_it_stops(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches. Where the engine stops working, the error says what is kept and how to go on."""
        try:
            yield from batches
        except BackendError as error:
            kept = f"; {self.journal.count()} tiles are done and kept" if self.output is not None else ""
            raise BackendError(f"{error}{kept}; run the same command again to continue") from error

    def _open_scenes(self, is_done: Callable[[int, str], bool], facts: Mapping[str, object]) -> Iterator[SceneRun]:
        for number, path in enumerate(self.job.scenes):
            start = time.monotonic()
            try:
                opened = self._scenes.open(number, is_done)
            except RsmoeError as error:
                if len(self.job.scenes) == 1:
                    raise
                self._notes.leave_out(path, str(error))
                self.journal.fail_scene(number, path, str(error))
                continue
            yield SceneRun(number, opened, None if opened is None else self._begin_scene(number, opened, facts), start)
        if len(self.journal.failed_scenes()) == len(self.job.scenes):
            raise SceneError(f"none of the {len(self.job.scenes)} scenes can be opened; the warnings above say why")

    def _begin_scene(self, number: int, opened: OpenedScene, facts: Mapping[str, object]) -> TileJob | None:
        """Record a scene; returns what is left to run of it."""
        scene, grid, crs = opened.scene, opened.grid, opened.scene.georeference.crs
        done = self.journal.begin_scene(
            number,
            SceneRecord(
                path=scene.path,
                file_signature=scene.file_signature,
                crs=None if crs is None else crs.to_wkt(),
                facts={**provenance.of_scene(scene, grid), **facts},
                grid=grid,
            ),
        )
        return None if grid is None else TileJob(scene, grid, done)

    def _record(self, batch: Sequence[SceneOutputs[SceneRun, Value]]) -> None:
        tiles = {part.key.number: part.key.records(part.outputs) for part in batch if part.outputs}
        if tiles:
            self.journal.add_tiles(tiles)
            self.timer.first_batch = self.timer.first_batch or self.timer.seconds

    @contextmanager
    def open_output(self, name: str, columns: Mapping[str, type]) -> Iterator[LayerWriter]:
        """A writer for the main layer of the output, which appears when the block ends well.

        Raises:
            OutputError: the file cannot be written; the journal stays as it is.
        """
        assert self.output is not None, "this run has no output"
        self.journal.begin_output()
        clean_stale(self.output.path)
        scenes = [scene for _, scene in self.journal.scenes()]
        scene_crs = next((CRS.from_wkt(scene.crs) for scene in scenes if scene.crs is not None), None)
        crs = self.output.target(scene_crs) or scene_crs
        layer = Layer(name, columns, crs, "Unknown" if self.journal.has_multipolygons() else "Polygon")
        try:
            with self.output.open(layer) as writer:
                layer_writer = LayerWriter(writer, layer, self.engine)
                yield layer_writer
        except OutputError as error:
            raise OutputError(f"{error} What is done is recorded; run the same command again to continue") from error
        warn_unplaced(layer_writer.unplaced)

    def warnings(self) -> list[str]:
        """The notes on the scenes of this run and of those that it continues, each once."""
        names = provenance.scene_names(self.job.scenes)
        return distinct_warnings([(names[scene.path], scene.notes) for _, scene in self.journal.scenes()])

    def finish(self, hint: str) -> bool:
        """End the run: log what failed, and remove the journal unless it is needed to retry that.

        `hint` says where the user finds more about failed tiles. Returns whether anything failed.
        """
        failed_tiles, failed_scenes = self.journal.stats().failed, len(self.journal.failed_scenes())
        if failed_tiles:
            log.warning("failed tiles: %d; %s", failed_tiles, hint)
        if failed_scenes:
            where = "the metadata say why" if self.output is not None else "the warnings above say why"
            log.warning("scenes left out: %d; %s", failed_scenes, where)
        self._notes.log_repeated()
        failed = bool(failed_tiles or failed_scenes)
        if failed and self.output is not None:
            log.warning("%s is kept for --retry-failed; otherwise remove it", journal_path(self.output.path))
        self.journal.finish()
        return failed


@dataclass
class LayerWriter:
    """Writes the layers of an output."""

    writer: Writer
    layer: Layer
    """The main layer."""
    engine: Engine | None
    unplaced: int = 0
    """Rows of the main layer without a geometry, so far."""

    def write(self, rows: Iterable[Row]) -> None:
        """Write rows of the main layer, with few of them in memory."""
        chunk: list[Row] = []
        for row in rows:
            self.unplaced += row.geometry is None
            chunk.append(row)
            if len(chunk) == _CHUNK:
                self.writer.write(chunk)
                chunk = []
        self.writer.write(chunk)

    def finish(self, metadata: Mapping[str, object]) -> None:
        """Complete the file, with entries about the file, the engine and what else is given."""
        self.writer.finish({**provenance.of_file(self.layer.crs), **provenance.of_engine(self.engine), **metadata})
