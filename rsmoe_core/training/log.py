"""The log of a phase: `log.jsonl`, events for TensorBoard where that is installed, and `curves.png`.

    Log.write ─▶ log.jsonl ─read_log─▶ rows ─curves─▶ Curves ─draw_curves─▶ curves.png

Without TensorBoard or matplotlib there are no events and no curves; training runs all the same.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsmoe_core.training import distributed
from rsmoe_core.training.run_folder import write_text_atomically

_DRAWN = ("loss", "learning_rate")
"""Figures of single steps that are drawn; those of validation all are."""
_SMOOTHING = 0.95
_PANEL = (8.0, 2.4)
"""Width and height of a panel of `curves.png`, in inches."""


class Log:
    """`log.jsonl`: one JSON object a line, appended while training runs; `seconds` count from the latest start.

    The same figures go to `tensorboard/` as scalars. In a distributed run, only rank 0 writes.
    """

    def __init__(self, folder: Path, phase: str, start: int) -> None:
        """Continue the log of a run that is resumed after `start` steps."""
        self._path, self._phase, self._started = folder / "log.jsonl", phase, time.perf_counter()
        self._events: Any = None
        if distributed.is_rank0():
            # Steps after the last checkpoint are repeated; their lines would be there twice.
            lines = [json.dumps(row) + "\n" for row in read_log(folder) if row["step"] <= start]
            write_text_atomically(self._path, "".join(lines))
            self._events = _event_writer(folder / "tensorboard", start)

    def write(self, *, step: int, epoch: float, **figures: float) -> None:
        """Add a line about the state after `step` steps, which make `epoch` epochs."""
        if not distributed.is_rank0():
            return
        seconds = round(time.perf_counter() - self._started, 2)
        row = {"phase": self._phase, "seconds": seconds, "step": step, "epoch": epoch, **figures}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._events is not None:
            for name, value in figures.items():
                self._events.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush events for TensorBoard."""
        if self._events is not None:
            self._events.close()


def _event_writer(folder: Path, start: int) -> Any:
    """A writer that makes TensorBoard ignore earlier events after step `start`. None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=start + 1)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The rows of a phase's log; a last line that is incomplete is left out."""
    path = folder / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


@dataclass(frozen=True)
class Curve:
    """One line of a plot."""

    epochs: list[float]
    values: list[float]


def curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, Curve]:
    """A curve for each figure of a log that is worth drawing: loss, learning rate, and all that validation gives."""
    names = dict.fromkeys(key for row in rows for key in row if key in _DRAWN or key.startswith("validation"))
    return {
        name: Curve([row["epoch"] for row in rows if name in row], [row[name] for row in rows if name in row])
        for name in names
    }


def smoothed(values: Sequence[float]) -> list[float]:
    """The exponential moving average of each value and those before it."""
    smooth, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = total * _SMOOTHING + value, weight * _SMOOTHING + 1
        smooth.append(total / weight)
    return smooth


def draw_curves(folder: Path) -> bool:
    """Draw `log.jsonl` of a phase's folder as `curves.png` beside it, with a panel for each figure.

    The log of an unfinished run is drawn as well. Returns whether there was anything to draw, and matplotlib to draw it
    with.
    """
    by_name = curves(read_log(folder))
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    if not by_name:
        return False
    width, height = _PANEL
    figure = Figure((width, height * len(by_name)), layout="constrained")
    panels = figure.subplots(len(by_name), sharex=True, squeeze=False)[:, 0]
    for (name, curve), panel in zip(by_name.items(), panels, strict=True):
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
