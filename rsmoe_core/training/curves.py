"""log.jsonl → curves.png: how a phase went, at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsmoe_core.training.log import read_log

_SMOOTHING = 0.95
_PANEL = (8.0, 2.4)
"""Inches."""


@dataclass(frozen=True)
class Curve:
    """One line of a plot."""

    epochs: list[float]
    values: list[float]


def curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    """A curve for every figure of a log that is worth a look: loss, rate, and all that validation says."""
    names = dict.fromkeys(key for row in rows for key in row if key in ("loss", "rate") or key.startswith("validation"))
    return {
        name: Curve([row["epoch"] for row in rows if name in row], [row[name] for row in rows if name in row])
        for name in names
    }


def smoothed(values: Sequence[float]) -> list[float]:
    """The mean of each value and those before it, which weigh the less the longer ago they were."""
    smooth, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = total * _SMOOTHING + value, weight * _SMOOTHING + 1
        smooth.append(total / weight)
    return smooth


def draw_curves(folder: Path) -> bool:
    """Draw `log.jsonl` of a phase's folder as `curves.png` beside it, a panel for each figure.

    A broken run's log will do. Returns whether anything was drawn, which takes matplotlib and a first line.
    """
    drawn = curves(read_log(folder))
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    if not drawn:
        return False
    width, height = _PANEL
    figure = Figure((width, height * len(drawn)), layout="constrained")
    panels = figure.subplots(len(drawn), sharex=True, squeeze=False)[:, 0]
    for (name, curve), panel in zip(drawn.items(), panels, strict=True):
        if name == "loss":
            panel.plot(curve.epochs, curve.values, color="0.8", linewidth=0.8)
            panel.plot(curve.epochs, smoothed(curve.values))
        else:
            panel.plot(curve.epochs, curve.values, marker="o" if name.startswith("validation") else None)
        panel.set_ylabel(name.replace("_", " "))
        panel.grid(alpha=0.3)
    panels[-1].set_xlabel("epoch")
    figure.align_ylabels()
    figure.savefig(folder / "curves.png", dpi=100)
    return True
