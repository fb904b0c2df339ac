"""RS-MoE with a part taken away, to measure what the part is worth. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Variant:
    """How an engine comes to its caption."""

    name: str
    """What the row of an ablation table is called."""
    router: bool = True
    """False asks every expert its plain question instead of what the router would ask."""
    without: tuple[str, ...] = ()
    """Experts whose drafts are not used."""
    ending: Literal["fusion", "join", "language"] = "fusion"
    """Who has the last word: the fusion pass; nobody, the drafts being joined by commas; or the stage-1 language model
    alone, without router and experts."""


WHOLE = Variant("whole")
"""The model as it is."""


def ablations(experts: Sequence[str]) -> tuple[Variant, ...]:
    """The whole model, and without each of its parts."""
    return (
        WHOLE,
        Variant("no router", router=False),
        *(Variant(f"no {name}", without=(name,)) for name in experts),
        *(Variant(f"{name} alone", without=tuple(other for other in experts if other != name)) for name in experts),
        Variant("join instead of fusion", ending="join"),
        Variant("stage 1 only", ending="language"),
    )
