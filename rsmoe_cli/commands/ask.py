"""`rsmoe ask`: questions about whole scenes, answered with evidence."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options

if TYPE_CHECKING:
    from rsmoe_cli.asking.run import Engine, Reply
    from rsmoe_cli.formats.output import Output
    from rsmoe_cli.raster.scene import Scene
    from rsmoe_cli.tiles.grid import Grid

log = logging.getLogger(__name__)


def ask(
    scenes: Annotated[
        list[str],
        typer.Argument(
            metavar='SCENE... "QUESTION"',
            help="Rasters that GDAL reads (files, folders, patterns), then the question.",
            show_default=False,
        ),
    ],
    questions: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Ask what is in this file, one question a line, # for comments.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Map of the answers to write: .gpkg, .geojson, .fgb or .parquet.")
    ] = None,
    model: options.Model = "nano",
    bands: options.Bands = None,
    tile_size: options.TileSize = None,
    overlap: Annotated[
        int | None,
        typer.Option(min=0, help="Pixels that neighbouring tiles share; by default a quarter of a tile."),
    ] = None,
    stretch: options.Stretch = "auto",
    batch_size: options.AdaptiveBatchSize = None,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    dst_crs: options.DstCrs = None,
    allow_external: options.AllowExternal = False,
    overwrite: options.Overwrite = False,
    json: Annotated[bool, typer.Option("--json", help="Print each answer as one JSON object a line.")] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Ask about whole scenes: how many, whether, where, more or fewer, what kind of place, rural or urban."""
    from rsmoe_cli.asking.questions import split_arguments
    from rsmoe_cli.formats.output import check_output
    from rsmoe_cli.pipeline.inputs import find_scenes
    from rsmoe_cli.raster.bands import parse_bands
    from rsmoe_cli.raster.scene import open_scene
    from rsmoe_cli.tiles.grid import parse_tile_size
    from rsmoe_core.questions.parser import parse_question

    words, texts = split_arguments(scenes, questions)
    paths = find_scenes(words)
    parsed_questions = list(dict.fromkeys(parse_question(text) for text in texts))
    output = check_output(out, *paths, overwrite=overwrite, dst_crs=dst_crs) if out is not None else None
    chosen = parse_bands(bands) if bands is not None else None
    sources = [open_scene(path, chosen, stretch, allow_external) for path in paths]
    if output is not None:
        for source in sources:
            output.target(source.georeference.crs, source.path)
    sizes = [None if tile_size is None else parse_tile_size(tile_size, s.metres_per_pixel) for s in sources]

    # The model comes last: what can be refused is refused before torch is imported. Some questions need none at all.
    from rsmoe_cli.asking.run import ask_scenes
    from rsmoe_core.engine import load

    engine = (
        load(model, device=device, precision=precision)
        if any(parsed.type != "unknown" for parsed in parsed_questions)
        else None
    )
    if engine is not None and batch_size is not None:
        engine.batch_size = batch_size
    _tell_notes(sources, output)
    grids = [
        None if engine is None else _grid(source, size, overlap, engine.image_size)
        for source, size in zip(sources, sizes, strict=True)
    ]
    failed = 0
    for reply in ask_scenes(
        list(zip(sources, grids, strict=True)),
        parsed_questions,
        engine,
        output,
        progress=console.shows_progress(),
    ):
        _print(reply, engine, json, headed=len(sources) * len(parsed_questions) > 1)
        failed += max(answer.failed for answer in reply.answers)
    if output is not None:
        console.print_note(str(output.path))
    if failed:
        log.warning("failed tiles: %d; the answers are without them", failed)
        raise typer.Exit(console.SOME_FAILED)


def _grid(scene: Scene, size: int | None, overlap: int | None, image_size: int) -> Grid:
    """The grid of a scene; tiles overlap, so that most things are seen whole by one of them."""
    from rsmoe_cli.tiles.grid import Grid, fitting_tile_size

    shared = (size or image_size) // 4 if overlap is None else overlap
    side = size or fitting_tile_size(scene.width, scene.height, image_size, shared)
    return Grid(scene.width, scene.height, side, shared)


def _tell_notes(scenes: Sequence[Scene], output: Output | None) -> None:
    for scene in scenes:
        notes = scene.notes if output is None else (*scene.notes, *output.notes(scene.georeference.crs))
        for note in notes:
            log.warning("%s%s", f"{scene.path}: " if len(scenes) > 1 else "", note)


def _print(reply: Reply, engine: Engine | None, as_json: bool, headed: bool) -> None:
    """The answers about a scene, on stdout; headed by scene and question where there are several."""
    import json

    for answer in reply.answers:
        if as_json:
            made_by = {
                "model": engine.name if engine else None,
                "model_revision": engine.revision if engine else None,
                "seconds": reply.seconds,
            }
            line = {"scene": reply.scene, **answer.facts(), **made_by}
            typer.echo(json.dumps(line, ensure_ascii=False, allow_nan=False))
        else:
            console.print_result(f"{reply.scene}: {answer.question}\n{answer}\n" if headed else str(answer))
