"""The journey of questions, on one page. A scene is read once, whatever the number of questions.

scene → tiles → pictures → batches → engine → TileAnswer → SceneAnswer, with a map of the tiles beside it
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from pyproj.exceptions import ProjError

from rsmoe_cli.asking.detections import TileAnswer
from rsmoe_cli.asking.layer import AnswerMap, open_map
from rsmoe_cli.asking.scene_answer import SceneAnswer, scene_answer
from rsmoe_cli.formats.output import LONGITUDE_LATITUDE, Output
from rsmoe_cli.pipeline import run
from rsmoe_cli.pipeline.run import TileOutput, run_tiles
from rsmoe_cli.pipeline.stats import TileStats
from rsmoe_cli.raster.georeference import Footprints
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.grid import Grid, Tile
from rsmoe_cli.tiles.image import TileImage
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.types import Answer, Request

_PLACES = 2
"""Tiles whose longitude and latitude are told."""


class Engine(run.Engine, Protocol):
    """An engine that answers."""

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        """Answers in the order of the requests."""


@dataclass(frozen=True)
class Reply:
    """All answers about one scene."""

    scene: str
    """The scene as named by the user."""
    answers: tuple[SceneAnswer, ...]
    """In the order of the questions."""
    seconds: float
    """Wall time of the scene."""


def ask_scenes(
    scenes: Sequence[tuple[Scene, Grid | None]],
    parsed_questions: Sequence[ParsedQuestion],
    engine: Engine | None,
    output: Output | None,
    progress: bool = False,
) -> Iterator[Reply]:
    """Puts all questions to all scenes, one scene after the other; the map is complete when the replies are used up.

    Without an engine, or for a scene without a grid, no tile is read; that is for questions that no picture answers.

    Raises:
        OutputError: the map cannot be written.
    """
    first_crs = scenes[0][0].georeference.crs
    with nullcontext() if output is None else open_map(output, first_crs, parsed_questions) as answer_map:
        for scene, grid in scenes:
            start = time.monotonic()
            if answer_map is not None:
                answer_map.begin(scene, grid)
            answers = ask_scene(scene, grid, parsed_questions, engine, answer_map, progress)
            if answer_map is not None:
                answer_map.conclude(answers)
            yield Reply(scene.path, tuple(answers), round(time.monotonic() - start, 3))
        if answer_map is not None:
            answer_map.finish(engine)


@dataclass
class _Hearing:
    """One question, and what was heard about it so far."""

    parsed: ParsedQuestion
    tally: TileStats = field(default_factory=TileStats)
    heard: list[TileAnswer] = field(default_factory=list)

    def listen(self, told: TileOutput[Answer], said: Answer | str | None) -> None:
        """One more tile; its picture is not kept."""
        image = told.result
        self.tally.count(image, said)
        if isinstance(image, TileImage) and isinstance(said, Answer):
            own = image.owned_valid_pixels
            self.heard.append(TileAnswer(image.tile, said, len(image.pixels), own, own / image.valid_pixels))


def ask_scene(
    scene: Scene,
    grid: Grid | None,
    parsed_questions: Sequence[ParsedQuestion],
    engine: Engine | None,
    answer_map: AnswerMap | None,
    progress: bool,
) -> list[SceneAnswer]:
    """Puts all questions to every tile that has a valid pixel.

    A tile that cannot be read or asked does not stop the others; the answers are without it, and say so.
    """
    hearings = [_Hearing(parsed) for parsed in parsed_questions]
    open_hearings = [hearing for hearing in hearings if hearing.parsed.type != "unknown"]
    asked = [hearing.parsed for hearing in open_hearings]
    if asked and grid is not None and engine is not None:
        put = _requests(asked, scene.metres_per_pixel)
        for batch in run_tiles(scene, grid, engine, put, engine.answer, "asking", progress):
            for told in batch:
                for index, hearing in enumerate(open_hearings):
                    hearing.listen(told, told.to(index))
            if answer_map is not None:
                answer_map.write(asked, batch)
    answers = (scene_answer(one.parsed, scene.width, scene.height, one.heard, one.tally) for one in hearings)
    return [_placed(answer, scene) for answer in answers]


def _requests(
    parsed_questions: Sequence[ParsedQuestion], metres_per_pixel: float | None
) -> Callable[[TileImage], list[Request]]:
    """Asks all questions about a picture."""

    def requests(image: TileImage) -> list[Request]:
        metres = image.metres_per_pixel(metres_per_pixel)
        return [Request(image.pixels, image.valid, parsed, metres) for parsed in parsed_questions]

    return requests


def _placed(answer: SceneAnswer, scene: Scene) -> SceneAnswer:
    """The answer with the places on the globe of the tiles that support it most, if they are known."""
    if scene.georeference.crs is None or not answer.supporting:
        return answer
    try:
        globe = Footprints(scene.georeference, LONGITUDE_LATITUDE)
    except ProjError:  # a system of a building site, say
        return answer
    places = [place for tile in answer.supporting[:_PLACES] if (place := _place(tile, globe))]
    return dataclasses.replace(answer, evidence=(*answer.evidence, *filter(None, ["; ".join(places)])))


def _place(tile: Tile, globe: Footprints) -> str | None:
    """Name, longitude and latitude of a tile's middle, to about a metre."""
    point = globe.point(tile.x + tile.width / 2, tile.y + tile.height / 2)
    if point is None:
        return None
    east, north = ("W", "E")[point.x >= 0], ("S", "N")[point.y >= 0]
    return f"{tile.id} is at {abs(point.x):.5f} {east}, {abs(point.y):.5f} {north}"
