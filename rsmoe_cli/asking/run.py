"""An asking run: all questions are asked about every tile of every scene; each scene gets one answer to each.

    scenes → tiles → images → batches → engine → journal → TileAnswer → SceneAnswer, and the layers at the end

Each scene is read once, whatever the number of questions.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pyproj.exceptions import ProjError

from rsmoe_cli.asking.evidence import TileAnswer
from rsmoe_cli.asking.layer import recorded_answers, scene_result, write_layers
from rsmoe_cli.asking.scene_answer import SceneAnswer, scene_answer
from rsmoe_cli.formats.output import LONGITUDE_LATITUDE
from rsmoe_cli.pipeline.inputs import SceneJob
from rsmoe_cli.pipeline.records import TileRecord
from rsmoe_cli.pipeline.scenes import OpenedScene
from rsmoe_cli.pipeline.session import Session
from rsmoe_cli.pipeline.stats import TileStats
from rsmoe_cli.raster.georeference import Footprints
from rsmoe_cli.raster.orientation import Orientation
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.grid import Tile
from rsmoe_core.questions.types import UNPARSED, ParsedQuestion
from rsmoe_core.types import Answer, Request

_MAX_LOCATED = 2
"""Supporting tiles whose longitude and latitude are given."""


@dataclass(frozen=True)
class AskJob(SceneJob):
    """Which questions are to be asked about which scenes."""

    command: ClassVar[str] = "ask"

    questions: tuple[ParsedQuestion, ...] = ()
    """In the order in which they are answered."""

    @property
    def asked(self) -> tuple[ParsedQuestion, ...]:
        """The questions that an image can answer; if there are none, no engine is needed."""
        return tuple(question for question in self.questions if question.type != UNPARSED)

    @property
    def has_other_words(self) -> bool:
        """Whether a question is in words that only a model that follows instructions understands."""
        return any(question.opened() != question for question in self.questions)

    def opened(self) -> AskJob:
        """The same for a model that follows instructions."""
        return dataclasses.replace(self, questions=tuple(question.opened() for question in self.questions))

    def options(self) -> dict[str, object]:
        """The options that decide what is in the output."""
        return {"the questions": [question.text for question in self.questions]}


@dataclass(frozen=True)
class SceneReply:
    """The answers for one scene."""

    scene: str
    """The scene as named by the user."""
    answers: tuple[SceneAnswer, ...]
    """In the order of the questions."""
    seconds: float
    """From opening the scene to its answers; scenes that share batches overlap."""
    warnings: tuple[str, ...]
    """What the user should know about the scene, one sentence each."""


def ask_scenes(session: Session[Answer], job: AskJob) -> Iterator[SceneReply]:
    """Answer all questions about each scene, one scene after the other; the output is complete after the last reply.

    A tile that cannot be read or answered does not stop the others, nor does one of several scenes that cannot be
    opened. What the journal has is not asked again.

    Raises:
        SceneError: the only scene, or none of several, can be opened.
        OutputError: the output cannot be written, or a scene has changed since the journal was started.
    """
    journal = session.journal

    def is_done(number: int, file_signature: str) -> bool:
        return journal.is_complete(number, file_signature) and journal.scene_result(number) is not None

    def answer_tiles(requests: Sequence[Request]) -> Sequence[Sequence[Answer]]:
        assert session.engine is not None, "questions that are asked need an engine"
        return session.engine.answer(requests)

    for run in session.run(is_done, answer_tiles, job.asked, knows_scale=True):
        number, opened = run.number, run.opened
        answers = recorded_answers(journal, number) if opened is None else _answers(session, job, number, opened)
        record = journal.scene(number)
        notes = () if record is None else record.notes
        yield SceneReply(job.scenes[number], tuple(answers), round(time.monotonic() - run.start, 3), notes)
    if session.output is not None:
        write_layers(session, job.questions, job.asked)


def _answers(session: Session[Answer], job: AskJob, number: int, opened: OpenedScene) -> list[SceneAnswer]:
    """The answers for a scene, from what the journal has when its last tile is recorded."""
    scene, journal = opened.scene, session.journal
    records, skipped = list(journal.tiles(number)), journal.stats(number).skipped
    answers, orientation = [], scene.georeference.orientation
    for question in job.questions:
        index = job.asked.index(question) if question in job.asked else None
        tile_answers, stats = _tile_answers(records, index, skipped, orientation)
        answer = scene_answer(question, scene.width, scene.height, tile_answers, stats, orientation)
        answers.append(_with_coordinates(answer, scene))
    if opened.footprints is None:
        journal.drop_outcomes(number)
    else:
        journal.finish_scene(number, scene_result(answers, opened.footprints))
    return answers


def _tile_answers(
    records: Sequence[TileRecord[Answer]], index: int | None, skipped: int, orientation: Orientation
) -> tuple[list[TileAnswer], TileStats]:
    """The answers to one of the questions that were asked, in tile order; none to a question that was not."""
    if index is None:
        return [], TileStats()
    tile_answers, stats = [], TileStats(skipped=skipped)
    for record in records:
        error = record.outcomes[index].error
        stats.add("ok" if error is None else "failed", 1, record.owned_valid_pixels)
        if error is not None:
            stats.error = stats.error or f"{record.tile.id} {error}"
        elif (tile_answer := TileAnswer.of(record, index, orientation)) is not None:
            tile_answers.append(tile_answer)
    return tile_answers, stats


def _with_coordinates(answer: SceneAnswer, scene: Scene) -> SceneAnswer:
    """The answer with the coordinates of the tiles that support it most, if they are known."""
    if scene.georeference.crs is None or not answer.supporting:
        return answer
    try:
        globe = Footprints(scene.georeference, LONGITUDE_LATITUDE)
    except ProjError:  # a local system without a position on the globe
        return answer
    located = [line for tile in answer.supporting[:_MAX_LOCATED] if (line := _coordinates(tile, globe))]
    return dataclasses.replace(answer, evidence=(*answer.evidence, *filter(None, ["; ".join(located)])))


def _coordinates(tile: Tile, globe: Footprints) -> str | None:
    """Name, longitude and latitude of a tile's centre, to about a metre."""
    point = globe.point(tile.x + tile.width / 2, tile.y + tile.height / 2)
    if point is None:
        return None
    east, north = ("W", "E")[point.x >= 0], ("S", "N")[point.y >= 0]
    return f"{tile.id} is at {abs(point.x):.5f} {east}, {abs(point.y):.5f} {north}"
