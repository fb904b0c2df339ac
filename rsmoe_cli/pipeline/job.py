"""What a run is to do, as the user asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rsmoe_cli.option_groups import TilingOptions
from rsmoe_cli.pipeline.run import Engine


@dataclass(frozen=True)
class SceneJob:
    """What is to be done with which scenes. A journal serves only the job that it was started for."""

    command: ClassVar[str]
    """Name of the command."""

    scenes: Sequence[str]
    """As named by the user, in order."""
    tiling: TilingOptions
    """How they are read and cut."""

    def options(self) -> dict[str, object]:
        """The command's own options that decide what is in the output, by the names that users know."""
        return {}

    def settings(self, engine: Engine | None, dst_crs: str | None) -> dict[str, object]:
        """Everything that decides what is in the output, by the names that users know."""
        return {
            "the command": self.command,
            "the list of scenes": list(self.scenes),
            "--bands": self.tiling.bands,
            "--stretch": self.tiling.stretch,
            "--tile-size": self.tiling.tile_size,
            "--overlap": self.tiling.overlap,
            "--dst-crs": dst_crs,
            **self.options(),
            "the model": None if engine is None else f"{engine.name} {engine.revision}",
            "its number format": None if engine is None else engine.dtype,
        }
