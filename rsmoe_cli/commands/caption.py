"""`rsmoe caption`: a caption for every tile of a scene, on the map."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from rsmoe_cli import console, options

log = logging.getLogger(__name__)


def caption(
    scene: options.Scene,
    out: options.Out,
    model: options.Model = "nano",
    bands: options.Bands = None,
    tile_size: options.TileSize = None,
    overlap: options.Overlap = 0,
    stretch: options.Stretch = "auto",
    batch_size: options.BatchSize = None,
    device: options.Device = "auto",
    dst_crs: options.DstCrs = None,
    allow_external: options.AllowExternal = False,
    overwrite: options.Overwrite = False,
    prompts: Annotated[bool, typer.Option("--prompts", help="Add columns with the router's prompts.")] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Caption every tile of a scene and write the captions with their footprints to a GeoPackage or GeoJSON."""
    import dataclasses
    import json as json_format

    from rsmoe_cli.bands import parse_bands
    from rsmoe_cli.raster import open_scene
    from rsmoe_cli.sinks import check_output
    from rsmoe_cli.tiling import Grid, fitting_tile_size, parse_tile_size

    output = check_output(out, scene, overwrite=overwrite, dst_crs=dst_crs)
    source = open_scene(scene, parse_bands(bands) if bands is not None else None, stretch, allow_external)
    output.target(source.georeference.crs)
    size = parse_tile_size(tile_size, source.metres_per_pixel) if tile_size is not None else None

    # The model comes last: what can be refused is refused before torch is imported.
    from rsmoe_cli.describe import describe_scene
    from rsmoe_core import load

    engine = load(model, device=device)
    for text in (*source.notes, *output.notes(source.georeference.crs)):
        log.warning("%s", text)
    size = size or fitting_tile_size(source.width, source.height, engine.image_size, overlap)
    grid = Grid(source.width, source.height, size, overlap)
    summary = describe_scene(
        source,
        grid,
        engine,
        output,
        batch_size=batch_size or engine.batch_size,
        prompts=prompts,
        progress=console.shows_progress(),
    )
    console.note(str(summary))
    if json:
        typer.echo(json_format.dumps(dataclasses.asdict(summary)))
    if summary.failed:
        log.warning("failed tiles: %d; their rows say why in the column 'error'", summary.failed)
        raise typer.Exit(console.SOME_FAILED)
