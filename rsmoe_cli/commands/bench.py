"""`rsmoe bench`: how fast scenes are captioned on this machine, compared with baseline loops."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from rsmoe_cli import console, options


def bench(
    scene: Annotated[
        str | None,
        typer.Argument(metavar="SCENE", help="Scene to measure on; by default one is drawn.", show_default=False),
    ] = None,
    model: options.Model = "nano",
    side: Annotated[int, typer.Option(min=224, help="Side of the drawn scene, in pixels.")] = 1792,
    tile_size: Annotated[int, typer.Option(min=16, help="Side of a tile, in pixels.")] = 224,
    rounds: Annotated[int, typer.Option(min=1, help="How often every loop is run.")] = 3,
    loop: Annotated[
        list[str] | None,
        typer.Option(help="one-by-one, batches, rsmoe, ...; may be repeated; an unknown name lists all loops."),
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write the report to this Markdown file.")] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how fast scenes are captioned on this machine, compared with baseline loops on the same weights."""
    import json as json_format

    from rsmoe_cli.atomic import atomic_write
    from rsmoe_cli.bench.compare import bench_scene
    from rsmoe_cli.bench.drawing import big_scene

    with tempfile.TemporaryDirectory() as folder:
        path = scene or big_scene(Path(folder) / f"drawn_{side}.tif", side)
        report = bench_scene(path, model, tile_size, rounds, loop, Path(folder), console.print_note)
    if markdown is not None:
        atomic_write(markdown, report.markdown(["Made by `rsmoe bench`."]))
    typer.echo(json_format.dumps(report.figures) if json else report.text())
