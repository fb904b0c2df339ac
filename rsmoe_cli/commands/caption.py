"""`rsmoe caption`: a caption for every tile of whole scenes, as a layer of footprints."""

from __future__ import annotations

from typing import Annotated

import typer

from rsmoe_cli import console, options


def caption(
    scenes: options.Scenes,
    out: options.Out,
    model: options.Model = "nano",
    bands: options.Bands = None,
    tile_size: options.TileSize = None,
    overlap: options.Overlap = 0,
    stretch: options.Stretch = "auto",
    batch_size: options.AdaptiveBatchSize = None,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    dst_crs: options.DstCrs = None,
    allow_external: options.AllowExternal = False,
    overwrite: options.Overwrite = False,
    retry_failed: options.RetryFailed = False,
    prompts: Annotated[bool, typer.Option("--prompts", help="Add columns with the router's prompts.")] = False,
    counts: Annotated[
        bool,
        typer.Option(
            "--counts",
            help="Correct numbers of ships and airplanes in captions by detecting them; slower where there are any.",
        ),
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Caption every tile of whole scenes and write the captions with their footprints to one file.

    To continue a run that was interrupted or killed, run the same command again.
    """
    import dataclasses
    import json as json_format

    from rsmoe_cli.captioning.layer import DESCRIPTIONS
    from rsmoe_cli.captioning.run import CaptionJob, caption_scenes
    from rsmoe_cli.pipeline.inputs import TilingOptions, find_scenes
    from rsmoe_cli.pipeline.job import EngineOptions, OutputOptions
    from rsmoe_cli.pipeline.session import open_session

    tiling = TilingOptions(bands, stretch, tile_size, overlap, allow_external)
    job = CaptionJob(find_scenes(scenes), tiling, prompts, counts)
    engine_options = EngineOptions(model, device, precision, batch_size)
    output_options = OutputOptions(out, dst_crs, overwrite, retry_failed)
    with open_session(
        job, engine_options.load, output_options, DESCRIPTIONS, progress=console.shows_progress()
    ) as session:
        summary = caption_scenes(session, job)
        console.print_note(str(summary))
        if json:
            typer.echo(json_format.dumps(dataclasses.asdict(summary)))
        if session.finish("their rows say why in the column 'error'"):
            raise typer.Exit(console.SOME_FAILED)
