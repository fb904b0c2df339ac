"""The scenes of a run, opened one after the other: the tiles of each, and the frame that all footprints share.

number ──Scenes.open──▶ OpenedScene: Scene, Grid, Footprints
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from rsmoe_cli.formats.output import Output
from rsmoe_cli.pipeline.inputs import SceneJob, cut, open_input, read_input
from rsmoe_cli.pipeline.notes import SceneNotes
from rsmoe_cli.pipeline.records import TileRecord
from rsmoe_cli.pipeline.run import TileJob, TileOutput, Value
from rsmoe_cli.raster.georeference import Footprints, read_georeference
from rsmoe_cli.raster.scene import Scene, checked_scene
from rsmoe_cli.tiles.grid import Grid
from rsmoe_core.errors import RsmoeError, UsageError
from rsmoe_core.words.grammar import length

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class OpenedScene:
    """A scene that is to be run."""

    scene: Scene
    grid: Grid | None
    """None where the run needs no engine."""
    footprints: Footprints | None
    """In the reference system of the output; None where there is no output."""


@dataclass(frozen=True, eq=False)
class SceneRun:
    """A scene of a run."""

    number: int
    """From 0, among the scenes of the job."""
    opened: OpenedScene | None
    """None where nothing of it was left to do."""
    job: TileJob | None
    """The tiles that are to be run; None where none are."""
    start: float
    """When it began to be opened, by the monotonic clock."""

    def records(self, outputs: Iterable[TileOutput[Value]]) -> list[TileRecord[Value]]:
        """What is recorded of some of its tiles."""
        assert self.opened is not None, "only a scene that is open has tiles to run"
        return [TileRecord.of(output, self.opened.footprints) for output in outputs]


def open_first(job: SceneJob, output: Output | None) -> Scene | RsmoeError:
    """The first scene; or the error, if there are other scenes and the options are not to blame."""
    try:
        scene = open_input(job.scenes[0], job.tiling)
        if output is not None:
            crs = scene.georeference.crs
            (output if crs is not None else output.without_crs()).target(crs, scene.path)
    except RsmoeError as error:
        if len(job.scenes) == 1 or isinstance(error, UsageError):
            raise
        return error
    return scene


class Scenes:
    """The scenes of a job."""

    def __init__(
        self,
        job: SceneJob,
        first: Scene | RsmoeError,
        image_size: int | None,
        output: Output | None,
        notes: SceneNotes,
    ) -> None:
        """`first` comes from `open_first`; `image_size` is the engine's, None where no engine is needed."""
        self.output = output
        """Where their footprints go; None where there is no output. Its frame is chosen at the first scene."""
        self._job, self._first, self._image_size = job, first, image_size
        self._has_frame = False
        self._notes = notes

    def open(self, number: int, is_done: Callable[[int, str], bool]) -> OpenedScene | None:
        """Open the scene with this number, from 0; None where `is_done` says so of its number and file signature.

        Raises:
            SceneError: it cannot be read.
            UsageError: the options do not suit it.
            OutputError: its frame does not suit the output.
        """
        scene = self._scene(number, is_done)
        if scene is None:
            return None
        crs, path = scene.georeference.crs, scene.path
        self.choose_frame(crs is not None, self._job.scenes[number + 1 :])
        footprints = None if self.output is None else Footprints(scene.georeference, self.output.target(crs, path))
        grid = None if self._image_size is None else cut(scene, self._job.tiling, self._image_size)
        self._notes.warn(path, (*scene.notes, *(self.output.notes(crs) if self.output is not None else ())))
        self._notes.show_bands(path, scene.band_selection)
        log.info("%s: %s", path, _decisions(scene, grid))
        return OpenedScene(scene, grid, footprints)

    def choose_frame(self, has_crs: bool, others: Sequence[str] = ()) -> None:
        """At the first scene, decide whether footprints are in pixels: where neither it nor another one has a CRS."""
        external = self._job.tiling.allow_external
        if not (self._has_frame or has_crs or self.output is None) and not any(
            _has_crs(path, external) for path in others
        ):
            self.output = self.output.without_crs()
        self._has_frame = True

    def _scene(self, number: int, is_done: Callable[[int, str], bool]) -> Scene | None:
        if number == 0:
            if isinstance(self._first, RsmoeError):
                raise self._first
            return None if is_done(number, self._first.file_signature) else self._first
        with checked_scene(self._job.scenes[number], self._job.tiling.allow_external) as file:
            return None if is_done(number, file.signature) else read_input(file, self._job.tiling)


def _has_crs(path: str, allow_external: bool) -> bool:
    """Whether a scene can be opened and has a CRS."""
    with suppress(RsmoeError), checked_scene(path, allow_external) as file:
        return read_georeference(file.dataset).crs is not None
    return False


def _decisions(scene: Scene, grid: Grid | None) -> str:
    """What was decided about a scene, for people to read."""
    crs, metres = scene.georeference.crs, scene.metres_per_pixel
    parts = [
        f"{scene.width} x {scene.height} pixels",
        "of unknown size" if metres is None else f"of {length(metres)}",
        f"bands {scene.band_selection}",
        "no CRS" if crs is None else crs.name,
    ]
    if grid is not None:
        tiles = f"{len(grid)} tile{'s' if len(grid) != 1 else ''}"
        parts.append(f"{tiles} of {grid.size} pixels, of which neighbours share {grid.overlap}")
    return ", ".join(parts)
