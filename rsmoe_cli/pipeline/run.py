"""Tiles → batches → engine → results: how captioning and asking run the tiles of one scene.

    Scene, Grid ──read_tiles──▶ TileImage | TileFailure ──batches──▶ Engine ──▶ TileOutput, in tile order

An error is a value: a tile that cannot be read, or for which the engine fails, does not stop the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeGuard, TypeVar

from rsmoe_cli import console
from rsmoe_cli.raster.dataset import first_line
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.grid import Grid
from rsmoe_cli.tiles.image import TileFailure, TileImage, TileResult
from rsmoe_cli.tiles.prefetch import ReadingLog
from rsmoe_cli.tiles.reader import OVERSAMPLING, read_tiles
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.types import Answer, Description, Request

_MAX_BATCHES = 4
"""A batch is passed on when it holds this many times the batch size in tiles, blank ones included, so that the memory
for a blank scene is bounded."""


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

    def describe(self, requests: Sequence[Request]) -> Sequence[Description]:
        """A description for each request, in their order."""

    def answer(self, requests: Sequence[Request]) -> Sequence[Sequence[Answer]]:
        """An answer for each question of each request, in their order."""


Value = TypeVar("Value")
"""What the engine returns for an image (a Description), or for one question about it (an Answer)."""


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
class TileJob(Generic[Value]):
    """The tiles of a scene, and what the engine is to do with each of them."""

    scene: Scene
    grid: Grid
    engine: Engine
    predict: Callable[[Sequence[Request]], Sequence[Sequence[Value]]]
    """A call of the engine: for each request, a value for each of its questions, or a single one."""
    questions: tuple[ParsedQuestion, ...] = ()
    """What is asked about each tile; empty for a description."""
    metres_per_pixel: float | None = None
    """Ground sample distance of the scene, as far as the engine is to know it."""
    done: Sequence[int] = ()
    """For each tile of the grid, in order, whether to skip it; empty to skip none."""
    progress_label: str = ""
    """Text beside the progress; empty to show none."""
    reading_log: ReadingLog | None = None
    """Updated while tiles are read."""

    def request(self, image: TileImage) -> Request:
        """The request for a tile, whose image is turned upright."""
        metres_per_pixel = image.metres_per_pixel(self.metres_per_pixel)
        upright = self.scene.georeference.orientation.upright
        return Request(upright(image.pixels), upright(image.valid), self.questions, metres_per_pixel)


def run_tiles(job: TileJob[Value]) -> Iterator[list[TileOutput[Value]]]:
    """Run the engine on all tiles of a job; yields them in order, one batch at a time."""
    wanted = (lambda tile: not job.done[job.grid.number(tile)]) if job.done else None
    progress = console.progress_bar(
        len(job.grid), "tile", job.progress_label, done=sum(job.done), shown=bool(job.progress_label)
    )
    results = read_tiles(job.scene, job.grid, OVERSAMPLING * job.engine.image_size, wanted=wanted, log=job.reading_log)
    with progress as advance:
        for batch in batches(results, lambda: job.engine.batch_size):
            outcomes = iter(predict(job.predict, [job.request(result) for result in batch if _is_visible(result)]))
            yield [TileOutput(result, _outcomes(job, result, outcomes)) for result in batch]
            advance(len(batch))


def batches(results: Iterable[TileResult], batch_size: Callable[[], int]) -> Iterator[list[TileResult]]:
    """Group tiles in order, so that each group has at most `batch_size()` tiles for the engine."""
    batch: list[TileResult] = []
    for result in results:
        batch.append(result)
        if sum(map(_is_visible, batch)) >= batch_size() or len(batch) >= _MAX_BATCHES * batch_size():
            yield batch
            batch = []
    if batch:
        yield batch


def predict(
    call: Callable[[Sequence[Request]], Sequence[Sequence[Value]]], requests: Sequence[Request]
) -> list[tuple[Outcome[Value], ...]]:
    """The outcomes of each request. What fails is retried request by request, then question by question."""
    if not requests:
        return []
    try:
        return [tuple(map(Outcome, values)) for values in call(requests)]
    except Exception as error:  # whatever fails inside the engine fails one tile, not the scene
        if len(requests) > 1:
            return [outcomes for request in requests for outcomes in predict(call, [request])]
        [request] = requests
        if len(request.questions) > 1:
            single = [dataclasses.replace(request, questions=(question,)) for question in request.questions]
            return [tuple(outcome for one in single for [outcome] in predict(call, [one]))]
        verb = "answered" if request.questions else "captioned"
        return [(Outcome(error=f"cannot be {verb}: {first_line(error)}"),)]


def _outcomes(
    job: TileJob[Value], result: TileResult, predicted: Iterator[tuple[Outcome[Value], ...]]
) -> tuple[Outcome[Value], ...]:
    """The outcomes of a tile; those of a tile with valid pixels are next in `predicted`."""
    if isinstance(result, TileFailure):
        return (Outcome(error=result.error),) * max(1, len(job.questions))
    return next(predicted) if _is_visible(result) else ()


def _is_visible(result: TileResult) -> TypeGuard[TileImage]:
    """Whether a tile has a valid pixel."""
    return isinstance(result, TileImage) and result.valid_pixels > 0
