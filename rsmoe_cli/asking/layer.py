"""The answers of all scenes and questions on one map: tiles, the things found, and where it all comes from.

open_map(...) as answer_map:   for each scene  begin ──▶ write, write, ... ──▶ conclude;   at the end  finish

Tile + answer → one row of the layer `answers`; thing → one point of the layer `found`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from pyproj import CRS
from shapely.geometry.base import BaseGeometry

from rsmoe_cli.asking.detections import SceneDetection
from rsmoe_cli.asking.scene_answer import SceneAnswer
from rsmoe_cli.formats.base import Layer, Row, Writer, tile_layer, tile_values
from rsmoe_cli.formats.output import Output, warn_unplaced
from rsmoe_cli.pipeline import provenance
from rsmoe_cli.pipeline.run import Engine, TileOutput
from rsmoe_cli.raster.georeference import Footprints
from rsmoe_cli.raster.scene import Scene
from rsmoe_cli.tiles.grid import Grid
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.types import Answer

log = logging.getLogger(__name__)


class AnswerMap:
    """A map that is being drawn, scene by scene."""

    def __init__(
        self, sink: Writer, layer: Layer, target: CRS | None, parsed_questions: Sequence[ParsedQuestion]
    ) -> None:
        self._sink, self._layer, self._target, self._inquiries = sink, layer, target, parsed_questions
        self._scenes: list[dict[str, object]] = []
        self._answers: list[dict[str, object]] = []
        self._found: list[Row] = []
        self._unplaced = 0

    def begin(self, scene: Scene, grid: Grid | None) -> None:
        """What follows is about this scene."""
        self._scene, self._footprints = scene.path, Footprints(scene.georeference, self._target)
        self._scenes.append(provenance.of_scene(scene, grid))

    def write(self, parsed_questions: Sequence[ParsedQuestion], batch: Sequence[TileOutput[Answer]]) -> None:
        """A row for each tile and each of the parsed_questions that were put to it; blank tiles have none."""
        rows = [row for told in batch for row in self._rows(parsed_questions, told)]
        self._unplaced += sum(row.geometry is None for row in rows)
        self._sink.write(rows)

    def conclude(self, answers: Sequence[SceneAnswer]) -> None:
        """The scene's answers, and the things that they rest on."""
        for answer in answers:
            self._answers.append({"scene": self._scene, **answer.facts()})
            for thing in answer.things:
                point, number = self._footprints.point(thing.x, thing.y), len(self._found) + 1
                self._found.append(found_row(str(number), self._scene, answer.question, thing, point))

    def finish(self, engine: Engine | None) -> None:
        """The points and the provenance, which complete the map."""
        points = Layer("found", FOUND_COLUMNS, self._layer.crs, "Point")
        if self._found and not self._sink.add_layer(points, self._found):
            log.warning("things found but not on the map: %d; a .gpkg has a layer for them", len(self._found))
        self._sink.finish(
            {
                **provenance.of_file(self._layer.crs),
                **provenance.of_engine(engine),
                "scenes": self._scenes,
                "answers": self._answers,
            }
        )
        warn_unplaced(self._unplaced)

    def _rows(self, parsed_questions: Sequence[ParsedQuestion], told: TileOutput[Answer]) -> Iterator[Row]:
        tile = told.result.tile
        footprint = self._footprints.of(tile.rect)
        for index, parsed in enumerate(parsed_questions):
            if (said := told.to(index)) is not None:
                row_id = f"{len(self._scenes)}.{self._inquiries.index(parsed) + 1}.{tile.id}"
                yield tile_row(row_id, self._scene, parsed, told, said, footprint)


@contextmanager
def open_map(output: Output, crs: CRS | None, parsed_questions: Sequence[ParsedQuestion]) -> Iterator[AnswerMap]:
    """A map whose file takes its place when the block ends well; `crs` is that of the first scene.

    Raises:
        OutputError: the file cannot be written.
    """
    target = output.target(crs)
    layer = tile_layer("answers", COLUMNS, target, crs)
    with output.open(layer) as sink:
        yield AnswerMap(sink, layer, target, parsed_questions)


COLUMNS: Mapping[str, type] = MappingProxyType(
    {
        "scene": str,
        "question": str,
        "tile_id": str,  # such as r0003c0012
        "row": int,
        "col": int,
        "answer": str,  # what the engine says of the tile alone
        "confidence": float,  # probability that it is right, 0-1
        "evidence": str,
        "count": float,  # how many of what is asked about the whole tile holds; neighbours count their overlap twice
        "valid_fraction": float,  # valid share of the tile's pixels within the scene; null if it could not be read
        "status": str,  # ok, or failed
        "error": str,
    }
)
"""Columns of the tiles; any but the first five and status may be null."""

FOUND_COLUMNS: Mapping[str, type] = MappingProxyType(
    {"thing": str, "confidence": float, "tile_id": str, "question": str, "scene": str}
)
"""Columns of the points."""


def tile_row(
    row_id: str,
    scene: str,
    parsed: ParsedQuestion,
    told: TileOutput[Answer],
    said: Answer | str,
    footprint: BaseGeometry | None,
) -> Row:
    """What the engine said about a tile, or one line on why it said nothing."""
    values = {
        "scene": scene,
        "question": parsed.text,
        **tile_values(told.result.tile, told.valid_fraction, said if isinstance(said, str) else None),
    }
    if isinstance(said, Answer):
        values |= {
            "answer": said.text,
            "confidence": said.confidence if math.isfinite(said.confidence) else None,
            "evidence": said.evidence or None,
            "count": None if parsed.subject is None else said.counts.get(parsed.subject),
        }
    return Row(row_id, values, footprint)


def found_row(row_id: str, scene: str, question: str, thing: SceneDetection, point: BaseGeometry | None) -> Row:
    """A thing that was counted."""
    values = {
        "thing": thing.thing,
        "confidence": thing.confidence,
        "tile_id": thing.tile.id,
        "question": question,
        "scene": scene,
    }
    return Row(row_id, values, point)
