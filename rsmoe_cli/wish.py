"""What is to be captioned, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsmoe_cli.journey import Engine
from rsmoe_cli.scenes import Cutting


@dataclass(frozen=True)
class Wish:
    """What is to be captioned, and how; with another wish, what a journal has kept is of no use."""

    scenes: Sequence[str]
    """As named by the user, in order."""
    cutting: Cutting
    """How they are drawn and cut."""
    dst_crs: str | None = None
    """Reference system that was asked for."""
    prompts: bool = False
    """Whether the router's prompts are kept."""
    counts: bool = False
    """Whether amounts are put right by counting."""

    def settings(self, engine: Engine) -> dict[str, object]:
        """All that decides what will be in the output, by the names that users know."""
        return {
            "the list of scenes": list(self.scenes),
            "--bands": self.cutting.bands,
            "--stretch": self.cutting.stretch,
            "--tile-size": self.cutting.tile_size,
            "--overlap": self.cutting.overlap,
            "--dst-crs": self.dst_crs,
            "--prompts": self.prompts,
            "--counts": self.counts,
            "the model": f"{engine.name} {engine.revision}",
            "its number format": engine.dtype,
        }
