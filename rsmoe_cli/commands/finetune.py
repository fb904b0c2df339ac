"""`rsmoe finetune`: teach a finished model the user's own captions and answers."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options

if TYPE_CHECKING:
    from rsmoe_cli.prepare.chips import Columns
    from rsmoe_cli.raster.scene import Scene

log = logging.getLogger(__name__)


def finetune(
    model: options.ModelName,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Model folder to write; a broken run goes on from OUT-work.", show_default=False
        ),
    ],
    data: Annotated[
        list[Path] | None, typer.Option(help="Folder of annotated pictures; may be given several times.")
    ] = None,
    scene: Annotated[str | None, typer.Option(help="Raster to cut pictures from.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Vector layer that says where, in any CRS.")] = None,
    column: Annotated[str | None, typer.Option(help="Column of it with the captions.")] = None,
    answers: Annotated[str | None, typer.Option(help="Column of it with the answers to --question.")] = None,
    question: Annotated[
        str | None, typer.Option(help="What they answer: a question to all, or a column with one for each.")
    ] = None,
    chips: Annotated[Path | None, typer.Option(help="New folder to keep the pictures of the scene in.")] = None,
    bands: options.Bands = None,
    stretch: options.Stretch = "auto",
    allow_external: options.AllowExternal = False,
    epochs: options.Epochs = None,
    patience: options.Patience = None,
    accumulate: options.Accumulate = 1,
    views: options.Views = 4,
    holdout: options.Holdout = 0.15,
    seed: options.Seed = 0,
    config: options.Config = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Go on training a model's experts and fusion on your own captions or questions."""
    from rsmoe_core.errors import UsageError

    if scene is None and not data:
        raise UsageError("nothing to learn from; give --data, or --scene with --labels and --column or --answers")
    if (answers is None) != (question is None):
        raise UsageError("--answers and --question belong together; give both")
    if len({scene is None, labels is None, column is None and answers is None}) > 1:
        raise UsageError("--scene, --labels and --column or --answers belong together; give all three")
    if chips is not None and chips.exists():
        raise UsageError(f"{chips} exists already; learn from it with --data, or give another --chips")

    from rsmoe_cli.together import together
    from rsmoe_core.checkpoint.catalogue import find_model
    from rsmoe_core.training.distributed import from_rank0
    from rsmoe_core.training.run import TrainConfig, run_stage
    from rsmoe_core.training.stages import stage

    start = find_model(model)
    with together(device, precision) as (where, bf16), TemporaryDirectory() as passing:
        folders = list(data or ())
        if scene is not None and labels is not None:
            from rsmoe_cli.prepare.chips import Columns
            from rsmoe_cli.raster.bands import parse_bands
            from rsmoe_cli.raster.scene import open_scene

            chosen = parse_bands(bands) if bands is not None else None
            source = open_scene(scene, chosen, stretch, allow_external)
            target = chips or Path(passing) / "chips"
            columns = Columns(column, answers, question or "")
            folders.append(from_rank0(partial(_cut, source, labels, columns, start, target)))
        recipe = TrainConfig(
            data=tuple(folders),
            out=out,
            seed=seed,
            views=views,
            holdout=holdout,
            device=where,
            bf16=bf16,
            accumulate=accumulate,
        )
        run_stage(stage("finetune").with_epochs(epochs, patience), recipe, start=start, say=console.print_note)
    console.print_note(f"the model is in {out}")


def _cut(scene: Scene, labels: Path, columns: Columns, start: Path, target: Path) -> Path:
    """Cut pictures for the model in `start` into the new folder `target`, and tell of it. Returns the folder."""
    from rsmoe_cli.atomic import atomic_folder
    from rsmoe_cli.prepare.chips import cut_chips
    from rsmoe_core.checkpoint.validation import load_config

    for text in scene.notes:
        log.warning("%s", text)
    with atomic_folder(target) as folder:
        count, skipped = cut_chips(scene, labels, columns, load_config(start).vision.image_size, folder)
    for line in console.shortened(skipped):
        console.print_note(f"left out: {line}")
    console.print_note(f"{count} pictures cut from {scene.path}")
    return target
