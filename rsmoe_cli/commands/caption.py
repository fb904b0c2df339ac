"""`rsmoe caption`: a caption for every tile of whole scenes, as a layer of footprints."""

from __future__ import annotations

from typing import Annotated

import typer

from rsmoe_cli import console, options
from rsmoe_cli.option_groups import EngineOptions, MessageOptions, OutputOptions, TilingOptions, grouped


@grouped
def caption(
    scenes: options.Scenes,
    out: options.Out,
    engine: EngineOptions = EngineOptions(),
    tiling: TilingOptions = TilingOptions(),
    output: OutputOptions = OutputOptions(),
    prompt: options.Prompt = None,
    prompts: Annotated[bool, typer.Option("--prompts", help="Add columns with the router's prompts.")] = False,
    counts: Annotated[
        bool,
        typer.Option(
            "--counts",
            help="Correct numbers of ships and airplanes in captions by detecting them; slower where there are any.",
        ),
    ] = False,
    json: options.Json = False,
    messages: MessageOptions = MessageOptions(),
) -> None:
    """Caption every tile of whole scenes and write the captions with their footprints to one file.

    To continue a run that was interrupted or killed, run the same command again.
    """
    import dataclasses
    import json as json_format
    from functools import partial

    from rsmoe_cli.captioning.layer import DESCRIPTIONS
    from rsmoe_cli.captioning.run import CaptionJob, caption_scenes
    from rsmoe_cli.pipeline.inputs import find_scenes
    from rsmoe_cli.pipeline.session import open_session

    job = CaptionJob(find_scenes(scenes), tiling, prompts, counts)
    load = partial(engine.load, prompt)
    with open_session(job, load, DESCRIPTIONS, out, output, console.shows_progress()) as session:
        summary = caption_scenes(session, job)
        console.print_note(str(summary))
        if cost := summary.cost():
            console.print_note(cost)
        if json:
            typer.echo(json_format.dumps(dataclasses.asdict(summary)))
        if session.finish("their rows say why in the column 'error'"):
            raise typer.Exit(console.SOME_FAILED)
