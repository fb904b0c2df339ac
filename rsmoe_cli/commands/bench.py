"""`rsmoe bench`: how fast scenes are captioned on this machine, compared with baseline loops."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from rsmoe_cli import console, options
from rsmoe_cli.option_groups import EngineOptions


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
        typer.Option(
            help="one-by-one, batches, rsmoe, rsmoe-int8, ...; may be repeated; an unknown name lists all loops."
        ),
    ] = None,
    device: options.Device = "auto",
    mixture: options.MixtureName = "full",
    words: options.Words = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write the report to this Markdown file.")] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure how fast scenes are captioned on this machine, compared with baseline loops on the same weights.

    With quantised loops (rsmoe-int8, rsmoe-8bit, rsmoe-4bit) also which share of the captions stays the same. The
    options from --device on are those of `rsmoe caption`, for its own loops. The speed is kept for `rsmoe plan`.
    """
    import json as json_format

    from rsmoe_cli.atomic import atomic_write
    from rsmoe_cli.bench.compare import bench_scene
    from rsmoe_cli.bench.drawing import big_scene

    with tempfile.TemporaryDirectory() as folder:
        path = scene or big_scene(Path(folder) / f"drawn_{side}.tif", side)
        given = ["--device", device, "--mixture", mixture, *(["--words", str(words)] if words else [])]
        report = bench_scene(path, model, tile_size, rounds, loop, Path(folder), console.print_note, given)
    _keep_speed(report.figures, EngineOptions(model=model, device=device, mixture=mixture, words=words))
    if markdown is not None:
        atomic_write(markdown, report.markdown(["Made by `rsmoe bench`."]))
    typer.echo(json_format.dumps(report.figures) if json else report.text())


def _keep_speed(figures: dict[str, Any], engine: EngineOptions) -> None:
    """For `rsmoe plan`."""
    from rsmoe_cli.bench.measure import OURS
    from rsmoe_cli.planning.speeds import SpeedKey, record_speed
    from rsmoe_core.inference.planning import plan_model

    if OURS in figures["loops"]:
        options = engine.caption_options()
        plan = plan_model(engine.model, device=engine.device, options=options)
        key = SpeedKey.of(plan.revision, plan.device, plan.chosen.dtype, options)
        record_speed(key, figures["loops"][OURS]["captions_per_second"], "bench")
