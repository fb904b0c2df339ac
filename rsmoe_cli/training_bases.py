"""What `train` and `finetune` need to know of bases: their options, presets, and whether a model is on one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsmoe_cli import console, options
from rsmoe_core.errors import UsageError

if TYPE_CHECKING:
    from rsmoe_core.config import MixtureConfig
    from rsmoe_core.presets import BasePreset
    from rsmoe_core.training.settings import TrainingSettings


@dataclass(frozen=True)
class BaseMemoryOptions:
    """How a base is made to fit into memory while a mixture on it is trained."""

    quantize: options.TrainingQuantize = None
    gradient_checkpointing: options.GradientCheckpointing = False

    @property
    def settings(self) -> dict[str, Any]:
        """Of a TrainConfig."""
        return {"quantize": self.quantize, "gradient_checkpointing": self.gradient_checkpointing}

    def refuse_for_native(self) -> None:
        """Refuse what has no meaning for a native model.

        Raises:
            UsageError: such an option is given.
        """
        for flag, given in (("quantize", self.quantize), ("gradient-checkpointing", self.gradient_checkpointing)):
            if given:
                raise UsageError(f"--{flag} is for mixtures on a base; leave it out")


def training_settings(meta: Mapping[str, Any]) -> TrainingSettings:
    """The tables of the command's TOML file; `meta` is that of the command's context."""
    from rsmoe_core.training.settings import TrainingSettings

    return TrainingSettings(meta.get(options.TABLES, {}))


def mixture_of(
    preset: BasePreset, base: str | None, revision: str | None, settings: TrainingSettings, out: Path
) -> MixtureConfig:
    """The mixture that stage 1 is to train: that of the preset, on another base if one is given.

    A base that is composed is written to `out/base`, once; in a distributed run by the first process.

    Raises:
        UsageError: a setting or a name is not known.
        ModelError: a part of the base is missing, or of another kind.
    """
    import dataclasses

    from rsmoe_core.config import BaseReference

    config, parts = settings.config(preset.config), preset.parts
    if base is not None or parts is None:
        settings.refuse("parts", why="the base is not composed")
    if base is not None:
        return dataclasses.replace(config, base=BaseReference(base, revision or ""))
    if parts is None:
        return dataclasses.replace(config, base=BaseReference(config.base.name, revision or ""))
    if revision is not None:
        raise UsageError(f"the base of {config.preset} is composed of two models; leave --revision out")

    from rsmoe_core.training.distributed import from_rank0

    folder = (out / "base").absolute()
    chosen = settings.parts(parts)
    from_rank0(lambda: _compose_once(chosen, folder))
    return dataclasses.replace(config, base=BaseReference(str(folder)))


def _compose_once(parts: Any, folder: Path) -> None:
    from rsmoe_cli.atomic import atomic_folder
    from rsmoe_core.checkpoint.compose import check_parts, compose

    if folder.is_dir():
        check_parts(folder, parts)
        return
    console.print_note(f"composing the base of {parts.vision} and {parts.text}, once, in {folder}")
    with atomic_folder(folder) as part:
        compose(parts, part)
