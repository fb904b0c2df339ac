"""RS-MoE with a part taken away, to measure what the part is worth. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Ablation:
    """How an engine comes to its caption."""

    name: str
    """What the row of an ablation table is called."""
    router: bool = True
    """False asks every expert its plain question instead of what the router would ask."""
    without: tuple[str, ...] = ()
    """Experts whose drafts are not used."""
    ending: Literal["fusion", "join", "language"] = "fusion"
    """Who has the last word: the fusion pass; nobody, the drafts being initialised by commas; or the stage-1 language model
    alone, without router and experts."""


FULL_MODEL = Ablation("whole")
"""The model as it is."""


def ablations(experts: Sequence[str]) -> tuple[Ablation, ...]:
    """The whole model, and without each of its parts."""
    return (
        FULL_MODEL,
        Ablation("no router", router=False),
        *(Ablation(f"no {name}", without=(name,)) for name in experts),
        *(Ablation(f"{name} alone", without=tuple(other for other in experts if other != name)) for name in experts),
        Ablation("join instead of fusion", ending="join"),
        Ablation("stage 1 only", ending="language"),
    )
