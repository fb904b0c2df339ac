"""`rsmoe caption`: a caption for every tile of whole scenes, on the map."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from rsmoe_cli import console, options
from rsmoe_core.errors import RsmoeError, UsageError

log = logging.getLogger(__name__)


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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an output that exists, and what another run left of it.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed in an output, and keep the rest of it.")
    ] = False,
    prompts: Annotated[bool, typer.Option("--prompts", help="Add columns with the router's prompts.")] = False,
    counts: Annotated[
        bool,
        typer.Option(
            "--counts", help="Count ships and airplanes one by one where captions speak of them; takes longer there."
        ),
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Caption every tile of whole scenes and write the captions with their footprints to one map.

    A run that was interrupted, however that happened, goes on where it was when the same command is given again.
    """
    import dataclasses
    import json as json_format

    from rsmoe_cli.formats.output import check_output
    from rsmoe_cli.pipeline.inputs import TilingOptions, find_scenes
    from rsmoe_cli.pipeline.journal import journal_path, open_journal

    if overwrite and retry_failed:
        raise UsageError("--overwrite throws away what --retry-failed keeps; choose one of them")
    paths, cutting = find_scenes(scenes), TilingOptions(bands, stretch, tile_size, overlap, allow_external)
    journaled = journal_path(out).exists()
    output = check_output(out, *paths, overwrite=overwrite or journaled or retry_failed, dst_crs=dst_crs)
    with open_journal(output.path) as journal:
        try:
            first = cutting.open(paths[0])
            output.target(first.georeference.crs, paths[0])
        except RsmoeError as error:
            if len(paths) == 1 or isinstance(error, UsageError):
                raise

        # The model comes last: what can be refused is refused before torch is imported.
        from rsmoe_cli.captioning.run import CaptionJob, describe_scenes
        from rsmoe_core.engine import load

        engine = load(model, device=device, precision=precision)
        if batch_size is not None:
            engine.batch_size = batch_size
        wish = CaptionJob(paths, cutting, dst_crs, prompts, counts)
        journal.begin(wish.settings(engine), overwrite, retry_failed)
        summary = describe_scenes(wish, engine, output, journal, console.shows_progress())
    console.print_note(str(summary))
    if json:
        typer.echo(json_format.dumps(dataclasses.asdict(summary)))
    if summary.failed or summary.lost_scenes:
        if summary.failed:
            log.warning("failed tiles: %d; their rows say why in the column 'error'", summary.failed)
        if summary.lost_scenes:
            log.warning("scenes left out: %d; the metadata say why", summary.lost_scenes)
        log.warning("%s stays for --retry-failed; without need of that, remove it", journal_path(output.path))
        raise typer.Exit(console.SOME_FAILED)
