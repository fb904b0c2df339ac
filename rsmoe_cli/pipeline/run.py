"""What the journeys of captions and of answers have in common.

scene → tiles → pictures → batches → engine → TileOutput, TileOutput, ... in tile order
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeGuard, TypeVar

from tqdm import tqdm

from rsmoe_cli.raster.dataset import first_line
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.grid import Grid, Tile
from rsmoe_cli.tiles.image import TileFailure, TileImage, TileResult
from rsmoe_cli.tiles.prefetch import ReadingLog
from rsmoe_cli.tiles.reader import DETAIL, read_tiles
from rsmoe_core.types import Request

Words = TypeVar("Words")
"""What the engine says to one request."""

_HOLD = 4
"""A batch goes on when it holds this many times its size, blank tiles included: a blank scene uses no memory."""


class Engine(Protocol):
    """What every journey asks of an engine; `rsmoe_core.load` gives one."""

    batch_size: int
    """Pictures that are best given to it at a time; may change while it works."""

    @property
    def name(self) -> str:
        """Name of the model."""

    @property
    def revision(self) -> str:
        """Version of its weights."""

    @property
    def device(self) -> str:
        """Where it runs."""

    @property
    def dtype(self) -> str:
        """What it calculates in."""

    @property
    def image_size(self) -> int:
        """Pixels a side that it sees."""


@dataclass(frozen=True, eq=False)
class TileOutput(Generic[Words]):
    """A tile, and what the engine said to the requests about it."""

    result: TileResult
    """The tile, as it was read."""
    said: Sequence[Words | str]
    """Words, or one line on why there are none, for each request; empty for a tile that has nothing to show."""

    @property
    def valid_fraction(self) -> float | None:
        """Share of the tile's pixels that are valid, 0-1; None if it could not be read."""
        return self.result.valid_fraction if isinstance(self.result, TileImage) else None

    def to(self, request: int) -> Words | str | None:
        """What was said to one of the requests, or one line on why it failed; None if the tile is blank."""
        if isinstance(self.result, TileFailure):
            return self.result.error
        return self.said[request] if self.said else None


def run_tiles(
    scene: Scene,
    grid: Grid,
    engine: Engine,
    requests: Callable[[TileImage], Sequence[Request]],
    say: Callable[[Sequence[Request]], Sequence[Words]],
    doing: str,
    progress: bool,
    done: Sequence[int] = (),
    log: ReadingLog | None = None,
) -> Iterator[list[TileOutput[Words]]]:
    """Puts the same number of requests about each tile to the engine; yields all tiles in order, a batch at a time.

    A tile that cannot be read, or about which the engine says nothing, does not stop the others. `doing` names the work
    beside the progress bar. `done` says of each tile of the grid, in order, whether it is to be passed over; `log` is
    kept up to date on the way.
    """

    def wanted(tile: Tile) -> bool:
        return not done or not done[grid.number(tile)]

    with tqdm(total=len(grid), initial=sum(done), unit="tile", desc=doing, disable=not progress) as bar:
        results = read_tiles(scene, grid, DETAIL * engine.image_size, wanted=wanted, log=log)
        for batch in batches(results, lambda: engine.batch_size):
            asked = [requests(result) if _is_visible(result) else [] for result in batch]
            said = iter(_say(say, [request for one in asked for request in one]))
            yield [TileOutput(result, [next(said) for _ in one]) for result, one in zip(batch, asked, strict=True)]
            bar.update(len(batch))


def batches(results: Iterable[TileResult], size: Callable[[], int]) -> Iterator[list[TileResult]]:
    """Groups tiles, in order, so that as many of a group are for the engine as it wants by then, or fewer."""
    batch: list[TileResult] = []
    for result in results:
        batch.append(result)
        if sum(map(_is_visible, batch)) >= size() or len(batch) >= _HOLD * size():
            yield batch
            batch = []
    if batch:
        yield batch


def _is_visible(result: TileResult) -> TypeGuard[TileImage]:
    """Whether a tile has something to show to the engine."""
    return isinstance(result, TileImage) and result.valid_pixels > 0


def _say(say: Callable[[Sequence[Request]], Sequence[Words]], requests: Sequence[Request]) -> list[Words | str]:
    """Words or an error for each request. A batch that fails is tried again request by request."""
    if not requests:
        return []
    try:
        return list(say(requests))
    except Exception as error:  # whatever went wrong inside the engine is one tile's misfortune, not the scene's
        if len(requests) == 1:
            verb = "described" if requests[0].parsed is None else "asked"
            return [f"cannot be {verb}: {first_line(error)}"]
        return [words for request in requests for words in _say(say, [request])]
