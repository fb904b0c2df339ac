"""Tiles → batches → engine → results: how captioning and asking run the tiles of all scenes.

    TileJob, TileJob, ... ──read_tiles──▶ TileImage | TileFailure ──batches──▶ Engine ──▶ SceneOutputs, in tile order

Consecutive scenes share batches, so that many small scenes take as long as a large one with as many tiles. An error is
a value: a tile that cannot be read, or for which the engine fails, does not stop the others.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from typing import Generic, Protocol, TypeGuard, TypeVar

from rsmoe_cli.raster.dataset import first_line
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileFailure, TileImage, TileResult
from rsmoe_cli.tiles.prefetch import ReadingLog
from rsmoe_cli.tiles.reader import OVERSAMPLING, read_tiles
from rsmoe_core.backends.base import Usage
from rsmoe_core.config import CaptionOptions
from rsmoe_core.errors import BackendError
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.types import Answer, Description, Request

_MAX_BATCHES = 4
"""A batch is passed on when it holds this many times the batch size in tiles and ends of scenes, blank tiles included,
so that the memory for a blank scene is bounded."""

_MAX_WAIT = 10.0
"""Seconds after which the last tiles of a scene no longer wait for those of the next one, which may be slow to open."""


class Engine(Protocol):
    """What the command line needs of an engine; `rsmoe_core.load` returns one."""

    batch_size: int
    """The number of images that it processes best at a time; may change while it runs."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def revision(self) -> str:
        """Revision of its weights."""

    @property
    def device(self) -> str:
        """The device on which it runs."""

    @property
    def dtype(self) -> str:
        """Number format in which it computes."""

    @property
    def image_size(self) -> int:
        """Side of the square to which it resizes each image, in pixels."""

    @property
    def experts(self) -> Sequence[str]:
        """Names of the model's experts."""

    @property
    def options(self) -> CaptionOptions:
        """How it makes captions."""

    @property
    def checks_replies(self) -> bool:
        """Whether some replies may turn out to be of no use."""

    @property
    def has_detectors(self) -> bool:
        """Whether it can find and count single objects."""

    @property
    def usage(self) -> Usage:
        """What it has computed so far."""

    def describe(self, requests: Sequence[Request]) -> Sequence[Description]:
        """A description for each request, in their order."""

    def answer(self, requests: Sequence[Request]) -> Sequence[Sequence[Answer]]:
        """An answer for each question of each request, in their order."""


Value = TypeVar("Value", bound=Description | Answer)
"""What the engine returns for an image (a Description), or for one question about it (an Answer)."""
Key = TypeVar("Key")
"""What the caller tells scenes apart by."""


@dataclass(frozen=True)
class Outcome(Generic[Value]):
    """A value, or the error that came in its place."""

    value: Value | None = None
    error: str | None = None
    """One line that says why there is no value."""


@dataclass(frozen=True, eq=False)
class TileOutput(Generic[Value]):
    """A tile and what the engine returned for it."""

    result: TileResult
    """The tile, as it was read."""
    outcomes: tuple[Outcome[Value], ...]
    """One for the description, or one for each question; empty for a tile without a valid pixel."""


@dataclass(frozen=True, eq=False)
class SceneOutputs(Generic[Key, Value]):
    """What the engine returned for some consecutive tiles of one scene."""

    key: Key
    """Which scene it is."""
    outputs: list[TileOutput[Value]]
    """In tile order."""
    is_complete: bool
    """Whether the scene has no more tiles."""


@dataclass(frozen=True, eq=False)
class EngineCall(Generic[Value]):
    """What the engine does with each tile, the same for all scenes."""

    engine: Engine
    predict: Callable[[Sequence[Request]], Sequence[Sequence[Value]]]
    """A call of the engine: for each request, a value for each of its questions, or a single one."""
    questions: tuple[ParsedQuestion, ...] = ()
    """What is asked about each tile; empty for a description."""
    knows_scale: bool = False
    """Whether the engine is to know the ground sample distance."""


@dataclass(frozen=True, eq=False)
class TileJob:
    """The tiles of a scene that are to be run."""

    scene: Scene
    grid: Grid
    done: Sequence[int] = ()
    """For each tile of the grid, in order, whether to skip it; empty to skip none."""

    @cached_property
    def metres_per_pixel(self) -> float | None:
        """Ground sample distance of the scene; None if it is unknown."""
        return self.scene.metres_per_pixel

    def read(self, image_size: int, log: ReadingLog | None) -> Iterator[TileResult]:
        """Their images, in order, for an engine with images of `image_size` pixels a side."""
        wanted = (lambda tile: not self.done[self.grid.number(tile)]) if self.done else None
        return read_tiles(self.scene, self.grid, OVERSAMPLING * image_size, wanted=wanted, log=log)

    def request(self, image: TileImage, call: EngineCall[Value]) -> Request:
        """The request for a tile, whose image is turned upright."""
        metres_per_pixel = image.metres_per_pixel(self.metres_per_pixel) if call.knows_scale else None
        upright = self.scene.georeference.orientation.upright
        return Request(upright(image.pixels), upright(image.valid), call.questions, metres_per_pixel)


@dataclass(frozen=True, eq=False)
class ReadTile(Generic[Key]):
    """A tile on its way to the engine; without a result it is the end of a scene."""

    key: Key
    job: TileJob | None = None
    result: TileResult | None = None


def run_tiles(
    jobs: Iterable[tuple[Key, TileJob | None]], call: EngineCall[Value], log: ReadingLog | None = None
) -> Iterator[list[SceneOutputs[Key, Value]]]:
    """Run the engine on the tiles of many scenes, of which only one is open at a time.

    Yields one batch at a time, in order. A scene without tiles to run has no job, and `log` is updated while tiles are
    read.
    """
    for batch in batches(_read(jobs, call.engine, log), lambda: call.engine.batch_size):
        outputs, parts = _predict(batch, call), []
        for key, tiles in groupby(batch, lambda tile: tile.key):
            *_, last = own = list(tiles)
            number = sum(tile.result is not None for tile in own)
            parts.append(SceneOutputs(key, list(islice(outputs, number)), is_complete=last.result is None))
        yield parts


def _read(
    jobs: Iterable[tuple[Key, TileJob | None]], engine: Engine, log: ReadingLog | None
) -> Iterator[ReadTile[Key]]:
    """The tiles of each scene, followed by its end."""
    for key, job in jobs:
        if job is not None:
            yield from (ReadTile(key, job, result) for result in job.read(engine.image_size, log))
        yield ReadTile(key)


def batches(tiles: Iterable[ReadTile[Key]], batch_size: Callable[[], int]) -> Iterator[list[ReadTile[Key]]]:
    """Group tiles in order, so that each group has at most `batch_size()` tiles for the engine.

    The end of a scene waits for more tiles only with tiles of its own, and not for long.
    """
    batch: list[ReadTile[Key]] = []
    visible, start = 0, 0.0
    for tile in tiles:
        start = start if batch else time.monotonic()
        batch.append(tile)
        visible += _is_visible(tile.result)
        is_full = visible >= batch_size() or len(batch) >= _MAX_BATCHES * batch_size()
        has_waited = tile.result is None and (len(batch) == 1 or time.monotonic() - start >= _MAX_WAIT)
        if is_full or has_waited:
            yield batch
            batch, visible = [], 0
    if batch:
        yield batch


def _predict(batch: Sequence[ReadTile[Key]], call: EngineCall[Value]) -> Iterator[TileOutput[Value]]:
    """The outputs of the tiles in a batch; those with valid pixels are for the engine, all at once."""
    requests = [tile.job.request(tile.result, call) for tile in batch if tile.job and _is_visible(tile.result)]
    predicted = iter(predict(call.predict, requests))
    for tile in batch:
        if isinstance(tile.result, TileFailure):
            yield TileOutput(tile.result, (Outcome(error=tile.result.error),) * max(1, len(call.questions)))
        elif tile.result is not None:
            yield TileOutput(tile.result, next(predicted) if _is_visible(tile.result) else ())


def predict(
    call: Callable[[Sequence[Request]], Sequence[Sequence[Value]]], requests: Sequence[Request]
) -> list[tuple[Outcome[Value], ...]]:
    """The outcomes of each request. What fails is retried request by request, then question by question.

    Raises:
        BackendError: the engine stopped working for good.
    """
    if not requests:
        return []
    try:
        return [tuple(map(_outcome, values)) for values in call(requests)]
    except BackendError:  # no other request would fare better
        raise
    except Exception as error:  # whatever fails inside the engine fails one tile, not the scene
        if len(requests) > 1:
            return [outcomes for request in requests for outcomes in predict(call, [request])]
        [request] = requests
        if len(request.questions) > 1:
            single = [dataclasses.replace(request, questions=(question,)) for question in request.questions]
            return [tuple(outcome for one in single for [outcome] in predict(call, [one]))]
        verb = "answered" if request.questions else "captioned"
        return [(Outcome(error=f"cannot be {verb}: {first_line(error)}"),)]


def _outcome(value: Value) -> Outcome[Value]:
    """What the engine returned; its error, where it says that there is no value."""
    return Outcome(value) if value.error is None else Outcome(error=value.error)


def _is_visible(result: TileResult | None) -> TypeGuard[TileImage]:
    """Whether a tile has a valid pixel."""
    return isinstance(result, TileImage) and result.valid_pixels > 0
