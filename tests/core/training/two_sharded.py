"""One of two real processes that train a mixture on a base, each with a part of the base's weights.

Started by test_sharding.py with the variables that `accelerate launch` sets. A step has twelve images of thirteen, so
that in the second one a process has none.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from torch import nn

from rsmoe_core.training import distributed
from rsmoe_core.training.mixtures import sharding
from rsmoe_core.training.mixtures import start as mixture_start
from rsmoe_core.training.run import run_stage
from rsmoe_core.training.train_config import TrainConfig
from tests.mixtures import fast_stage, tiny_mixture_config

WITHOUT_DROPOUT = {"rank": 4, "alpha": 8, "dropout": 0.0, "targets": ()}


def train(out: Path, data: Path, base: Path, accumulate: int = 1) -> None:
    """Both stages for an epoch."""
    preset = tiny_mixture_config(base)
    preset = dataclasses.replace(preset, lora=dataclasses.replace(preset.lora, **WITHOUT_DROPOUT))
    options = {"validation_split": 0.2, "max_images": 16, "bf16": False, "accumulate": accumulate}
    config = TrainConfig((data,), out, **options)
    start = None
    for name in ("1", "2"):
        stage = fast_stage(name, epochs=1)
        phases = tuple(dataclasses.replace(phase, images_per_step=12) for phase in stage.phases)
        stage = dataclasses.replace(stage, phases=phases)
        start = run_stage(stage, config, preset=None if start else preset, start=start, report=lambda line: None)


def main(out: Path, data: Path, base: Path) -> None:
    parts: list[dict[str, str]] = []
    shard = sharding.shard

    def recorded(model: mixture_start.MixtureModel, device: str) -> None:
        shard(model, device)
        layer: nn.Module = sharding._layers(model)[0]
        parts.append({name: type(value).__name__ for name, value in layer.named_parameters()})

    with distributed.initialised("cpu"):
        sharding.shard = recorded
        train(out, data, base)
        (out / f"{distributed.rank()}.json").write_text(json.dumps(parts))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
