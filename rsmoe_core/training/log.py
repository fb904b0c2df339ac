"""What a phase says of itself while it runs: `log.jsonl`, and events for TensorBoard where that is installed.

log.jsonl → curves.png: how a phase went, at a glance.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsmoe_core.training import distributed
from rsmoe_core.training.run_folder import write_whole


class Log:
    """`log.jsonl`: one JSON object a line, appended as training goes on; `seconds` count from the latest start.

    The same figures go to `tensorboard/` as scalars of those names. Of several processes the first keeps the log.
    """

    def __init__(self, folder: Path, phase: str, start: int) -> None:
        self._path, self._phase, self._began = folder / "log.jsonl", phase, time.perf_counter()
        self._events: Any = None
        if distributed.is_rank0():
            # Steps after the last checkpoint are taken again; what a killed run said about them would stand twice.
            lines = [json.dumps(row) + "\n" for row in read_log(folder) if row["step"] <= start]
            write_whole(self._path, "".join(lines))
            self._events = _event_writer(folder / "tensorboard", start)

    def write(self, *, step: int, epoch: float, **figures: float) -> None:
        """Add a line about the first `step` steps, which make `epoch` epochs."""
        if not distributed.is_rank0():
            return
        seconds = round(time.perf_counter() - self._began, 2)
        row = {"phase": self._phase, "seconds": seconds, "step": step, "epoch": epoch, **figures}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._events is not None:
            for name, value in figures.items():
                self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Write out what is still on its way."""
        if self._events is not None:
            self._events.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a phase's log; one that was broken off in the middle is left out."""
    path = folder / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _event_writer(folder: Path, start: int) -> Any:
    """Of what is there, TensorBoard passes over the steps after `start`. None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=start + 1)


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
