"""The mixture with a part taken away, to measure what the part is worth. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Ablation:
    """How a caption is made."""

    name: str
    """Its row in an ablation table."""
    router: bool = True
    """False gives every expert its default prompt instead of the router's."""
    without: tuple[str, ...] = ()
    """Experts whose drafts are not used."""
    output: Literal["fusion", "join", "base"] = "fusion"
    """What gives the caption: the fusion role; the drafts joined by commas; or the stage-1 language model alone,
    without router and experts."""


FULL_MODEL = Ablation("full model")
"""Nothing taken away."""

MIXTURES: dict[str, Ablation] = {
    "full": FULL_MODEL,
    "experts": Ablation("experts", router=False),
    "direct": Ablation("direct", output="base"),
}
"""How captions are made, by the names of `config.Mixture`."""


def ablations(experts: Sequence[str]) -> tuple[Ablation, ...]:
    """The full model, and the model without each of its parts."""
    return (
        FULL_MODEL,
        Ablation("no router", router=False),
        *(Ablation(f"no {name}", without=(name,)) for name in experts),
        *(Ablation(f"{name} alone", without=tuple(other for other in experts if other != name)) for name in experts),
        Ablation("join instead of fusion", output="join"),
        Ablation("stage 1 only", output="base"),
    )
