"""`rsmoe finetune`: train a finished model on the user's own captions and answers."""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsmoe_cli import console, options
from rsmoe_cli.option_groups import TrainingOptions, grouped
from rsmoe_cli.training_bases import BaseMemoryOptions, training_settings

if TYPE_CHECKING:
    from rsmoe_cli.prepare.chips import Columns
    from rsmoe_cli.raster.scene import Scene

log = logging.getLogger(__name__)


@grouped
def finetune(
    context: typer.Context,
    model: options.ModelName,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            help="Model folder to write; an interrupted run is resumed from OUT-work.",
            show_default=False,
        ),
    ],
    data: Annotated[
        list[Path] | None, typer.Option(help="Folder of annotated images; may be given several times.")
    ] = None,
    scene: Annotated[str | None, typer.Option(help="Raster to cut images from.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Vector layer, in any CRS, with a feature for each image.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="Column of the layer with captions.")] = None,
    answers: Annotated[str | None, typer.Option(help="Column of the layer with answers to --question.")] = None,
    question: Annotated[
        str | None, typer.Option(help="One question for all features, or a column with one for each.")
    ] = None,
    chips: Annotated[Path | None, typer.Option(help="New folder in which to store the images of the scene.")] = None,
    bands: options.Bands = None,
    stretch: options.Stretch = "auto",
    nodata: options.Nodata = None,
    allow_external: options.AllowExternal = False,
    training: TrainingOptions = TrainingOptions(views=4, validation_split=0.15),
    memory: BaseMemoryOptions = BaseMemoryOptions(),
    config: options.TrainingConfig = None,
) -> None:
    """Train the experts and the fusion of a finished model on your own captions or questions.

    To resume a run that was interrupted, run the same command again.
    """
    from rsmoe_core.errors import UsageError

    if scene is None and not data:
        raise UsageError("nothing to learn from; give --data, or --scene with --labels and --column or --answers")
    if (answers is None) != (question is None):
        raise UsageError("--answers and --question belong together; give both")
    if len({scene is None, labels is None, column is None and answers is None}) > 1:
        raise UsageError("--scene, --labels and --column or --answers belong together; give all three")
    if chips is not None and chips.exists():
        raise UsageError(f"{chips} exists already; learn from it with --data, or give another --chips")

    from rsmoe_cli.training_session import distributed_session
    from rsmoe_core.checkpoint.catalogue import find_model
    from rsmoe_core.checkpoint.mixture import is_mixture
    from rsmoe_core.loading import find_folder
    from rsmoe_core.training.distributed import from_rank0
    from rsmoe_core.training.run import run_stage
    from rsmoe_core.training.run_folder import RunFolder
    from rsmoe_core.training.stages import find_stage
    from rsmoe_core.training.start import refuse_base

    refuse_base(find_folder(model), model)
    start = find_model(model)
    on_base = is_mixture(start)
    if not on_base:
        memory.refuse_for_native()
    tables = training_settings(context.meta)
    tables.refuse("lora", "tokens", "parts", why="the model is finished")
    stage = tables.stage(find_stage("finetune", on_base=on_base)).with_limits(training.epochs, training.patience)
    work = RunFolder.of(stage, out).work
    with distributed_session(training) as train_config:
        folders = list(data or ())
        if scene is not None and labels is not None:
            from rsmoe_cli.prepare.chips import Columns
            from rsmoe_cli.raster.bands import parse_bands
            from rsmoe_cli.raster.scene import open_scene

            selected = parse_bands(bands) if bands is not None else None
            source = open_scene(scene, selected, stretch, allow_external, nodata)
            columns = Columns(column, answers, question or "")
            target = chips or work / "chips"
            folders.append(from_rank0(lambda: _cut_chips(source, labels, columns, start, target, replace=not chips)))
        settings = train_config(data=tuple(folders), out=out, **memory.settings)
        run_stage(stage, settings, start=start, report=console.print_note, progress=console.progress_bar)
    console.print_note(f"the model is in {out}")


def _cut_chips(scene: Scene, labels: Path, columns: Columns, start: Path, target: Path, replace: bool) -> Path:
    """Cut images for the model in `start` into the folder `target`, and report. Returns the folder.

    The folder has to be new, unless `replace` says that it is the one of an interrupted run.
    """
    from rsmoe_cli.atomic import atomic_folder
    from rsmoe_cli.prepare.chips import cut_chips
    from rsmoe_core.errors import RsmoeError
    from rsmoe_core.training.start import image_size_of

    for text in scene.notes:
        log.warning("%s", text)
    if not scene.band_selection.is_doubtful:
        console.print_note(scene.band_selection.summary)
    if replace:
        shutil.rmtree(target, ignore_errors=True)
    try:
        with atomic_folder(target) as folder:
            count, skipped = cut_chips(scene, labels, columns, image_size_of(start), folder)
    except RsmoeError:
        if replace:
            with suppress(OSError):  # it is not empty where there was a run
                target.parent.rmdir()
        raise
    for line in console.shortened(skipped):
        console.print_note(f"left out: {line}")
    console.print_note(f"{count} images cut from {scene.path}")
    return target
