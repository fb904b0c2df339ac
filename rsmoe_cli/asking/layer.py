"""The journal of an asking run → the layers `answers` and `detections`, and the metadata of the output.

TileRecord → one row of `answers` for each question; SceneDetection → one point of `detections`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import shapely

from rsmoe_cli.asking.detections import SceneDetection
from rsmoe_cli.asking.scene_answer import SceneAnswer
from rsmoe_cli.formats.base import Layer, Row, rounded, tile_values
from rsmoe_cli.pipeline.journal import Journal
from rsmoe_cli.pipeline.provenance import scene_names, without_paths
from rsmoe_cli.pipeline.records import Codec, TileRecord
from rsmoe_cli.pipeline.session import Session
from rsmoe_cli.raster.georeference import Footprints
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.types import Answer, Detection

log = logging.getLogger(__name__)

ANSWER_COLUMNS: Mapping[str, type] = MappingProxyType(
    {
        "id": str,  # such as 1.1.r0003c0012
        "scene": str,  # name of its file
        "question": str,
        "tile_id": str,  # such as r0003c0012
        "row": int,
        "col": int,
        "tile_m": float,  # metres a side
        "answer": str,  # of the engine, for this tile alone
        "confidence": float,  # probability that it is right, 0-1
        "evidence": str,
        "count": float,  # number of the objects asked about in the whole tile; neighbours both count their overlap
        "valid_fraction": float,  # share of the tile's pixels within the scene that are valid; null if unreadable
        "status": str,  # ok or failed
        "error": str,
    }
)
"""Columns of the layer `answers`; any but the first six and status may be null."""

DETECTION_COLUMNS: Mapping[str, type] = MappingProxyType(
    {"id": str, "object": str, "confidence": float, "tile_id": str, "question": str, "scene": str}
)
"""Columns of the layer `detections`."""


def answer_row(
    row_id: str,
    scene: str,
    question: ParsedQuestion,
    record: TileRecord[Answer],
    answer_index: int,
    metres_per_pixel: float | None = None,
) -> Row:
    """The row of a tile for one question, which is the one with this index among those that were asked."""
    outcome = record.outcomes[answer_index]
    values = {
        "id": row_id,
        "scene": scene,
        "question": question.text,
        **tile_values(record.tile, record.valid_fraction, outcome.error, metres_per_pixel),
    }
    if (answer := outcome.value) is not None:
        values |= {
            "answer": answer.text,
            "confidence": rounded(answer.confidence, 3),
            "evidence": answer.evidence or None,
            "count": None if question.subject is None else rounded(answer.counts.get(question.subject), 2),
        }
    return Row(row_id, values, record.footprint)


def detection_values(row_id: str, scene: str, question: str, detection: SceneDetection) -> dict[str, object]:
    """The values of the point of one object that was counted."""
    return {
        "id": row_id,
        "object": detection.label,
        "confidence": rounded(detection.confidence, 3),
        "tile_id": detection.tile.id,
        "question": question,
        "scene": scene,
    }


def scene_result(answers: Sequence[SceneAnswer], footprints: Footprints) -> dict[str, object]:
    """What the journal keeps of the answers for a scene: with the coordinates of each detection in the output."""
    points = [[footprints.point(one.x, one.y) for one in answer.detections] for answer in answers]
    return {
        "answers": [answer.to_json() for answer in answers],
        "points": [[None if point is None else [point.x, point.y] for point in own] for own in points],
    }


def recorded_answers(journal: Journal[Answer], scene: int) -> list[SceneAnswer]:
    """The answers that the journal keeps for a scene."""
    record = journal.scene(scene)
    assert record is not None, "a scene with answers is recorded"
    return [SceneAnswer.from_json(fields, record.grid) for fields in journal.scene_result(scene)["answers"]]


def write_layers(
    session: Session[Answer], questions: Sequence[ParsedQuestion], asked: Sequence[ParsedQuestion]
) -> None:
    """Write the answers for all tiles, the detections and the metadata; `asked` are the questions that the engine got.

    Raises:
        OutputError: the file cannot be written; the journal stays as it is.
    """
    journal, names = session.journal, scene_names(session.job.scenes)
    with session.open_output("answers", ANSWER_COLUMNS) as output:
        output.write(_answer_rows(journal, names, questions, asked))
        detections = list(_detection_rows(journal, names))
        layer = Layer("detections", DETECTION_COLUMNS, output.layer.crs, "Point")
        if detections and not output.writer.add_layer(layer, detections):
            log.warning("detections that are not in the output: %d; a .gpkg has a layer for them", len(detections))
        output.finish(_metadata(journal, names))


def _answer_rows(
    journal: Journal[Answer],
    names: Mapping[str, str],
    questions: Sequence[ParsedQuestion],
    asked: Sequence[ParsedQuestion],
) -> Iterator[Row]:
    numbers = [questions.index(question) + 1 for question in asked]
    for scene_number, scene in journal.scenes():
        for record in journal.tiles(scene_number):
            for index, (question, number) in enumerate(zip(asked, numbers, strict=True)):
                row_id = f"{scene_number + 1}.{number}.{record.tile.id}"
                name = names[scene.path]
                yield answer_row(row_id, name, question, record, index, scene.metres_per_pixel)


def _detection_rows(journal: Journal[Answer], names: Mapping[str, str]) -> Iterator[Row]:
    row_number = 0
    for number, scene in journal.scenes():
        points = journal.scene_result(number)["points"]
        for answer, own_points in zip(recorded_answers(journal, number), points, strict=True):
            for detection, point in zip(answer.detections, own_points, strict=True):
                row_number += 1
                values = detection_values(str(row_number), names[scene.path], answer.question, detection)
                yield Row(str(row_number), values, None if point is None else shapely.Point(point))


def _metadata(journal: Journal[Answer], names: Mapping[str, str]) -> dict[str, object]:
    scenes = list(journal.scenes())
    failed = {names[path]: without_paths(error, names) for path, error in journal.failed_scenes().items()}
    answers = [
        {"scene": names[scene.path], **answer.facts()}
        for number, scene in scenes
        for answer in recorded_answers(journal, number)
    ]
    return {
        "scenes": [{**scene.facts, "source": names[scene.path]} for _, scene in scenes],
        **({"scenes_failed": failed} if failed else {}),
        "answers": answers,
    }


def _encode(answer: Answer) -> dict[str, object]:
    detections = [[d.label, d.x, d.y, d.confidence, d.nms_radius, d.log_count_std] for d in answer.detections]
    return {
        "text": answer.text,
        "confidence": answer.confidence,
        "evidence": answer.evidence,
        "counts": dict(answer.counts),
        "detections": detections,
        "prompts": dict(answer.prompts),
    }


def _decode(fields: dict[str, Any]) -> Answer:
    detections = tuple(Detection(*detection) for detection in fields["detections"])
    return Answer(**{**fields, "detections": detections})


ANSWERS = Codec(_encode, _decode)
"""How answers are recorded in the journal."""
