"""`rsmoe ask`: questions about whole scenes, answered with evidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options

if TYPE_CHECKING:
    from rsmoe_cli.asking.run import SceneReply
    from rsmoe_cli.pipeline.run import Engine


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
        Path | None,
        typer.Option(dir_okay=False, help="Ask the questions in this file, one a line; lines with # are comments."),
    ] = None,
    out: options.OptionalOut = None,
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
    retry_failed: options.RetryFailed = False,
    json: Annotated[bool, typer.Option("--json", help="Print each answer as one JSON object a line.")] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Ask about whole scenes: how many, whether, where, more or fewer, what scene class, rural or urban.

    To continue a run with --out that was interrupted or killed, run the same command again.
    """
    from rsmoe_cli.asking.layer import ANSWERS
    from rsmoe_cli.asking.questions import split_arguments
    from rsmoe_cli.asking.run import AskJob, ask_scenes
    from rsmoe_cli.pipeline.inputs import TilingOptions, find_scenes
    from rsmoe_cli.pipeline.job import EngineOptions, OutputOptions
    from rsmoe_cli.pipeline.session import open_session
    from rsmoe_core.questions.parser import parse_question

    paths, texts = split_arguments(scenes, questions)
    tiling = TilingOptions(bands, stretch, tile_size, overlap, allow_external)
    job = AskJob(find_scenes(paths), tiling, tuple(dict.fromkeys(map(parse_question, texts))))
    load = EngineOptions(model, device, precision, batch_size).load if job.asked else None
    output_options = OutputOptions(out, dst_crs, overwrite, retry_failed)
    with open_session(job, load, output_options, ANSWERS, progress=console.shows_progress()) as session:
        for reply in ask_scenes(session, job):
            if json:
                _print_json(reply, session.engine)
            else:
                _print_text(reply, headings=len(job.scenes) * len(job.questions) > 1)
        if session.output is not None:
            console.print_note(str(session.output.path))
        if session.finish("the answers are without them"):
            raise typer.Exit(console.SOME_FAILED)


def _print_text(reply: SceneReply, headings: bool) -> None:
    for answer in reply.answers:
        console.print_result(f"{reply.scene}: {answer.question}\n{answer}\n" if headings else str(answer))


def _print_json(reply: SceneReply, engine: Engine | None) -> None:
    import json

    model = {"model": engine.name if engine else None, "model_revision": engine.revision if engine else None}
    for answer in reply.answers:
        line = {"scene": reply.scene, **answer.facts(), **model, "seconds": reply.seconds}
        typer.echo(json.dumps(line, ensure_ascii=False, allow_nan=False))
