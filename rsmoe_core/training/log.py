"""What a phase says of itself while it runs: `log.jsonl`, and events for TensorBoard where that is installed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from rsmoe_core.training import processes
from rsmoe_core.training.files import write_whole


class Log:
    """`log.jsonl`: one JSON object a line, appended as training goes on; `seconds` count from the latest start.

    The same figures go to `tensorboard/` as scalars of those names. Of several processes the first keeps the log.
    """

    def __init__(self, folder: Path, phase: str, start: int) -> None:
        self._path, self._phase, self._began = folder / "log.jsonl", phase, time.perf_counter()
        self._events: Any = None
        if processes.is_first():
            # Steps after the last checkpoint are taken again; what a killed run said about them would stand twice.
            lines = [json.dumps(row) + "\n" for row in read_log(folder) if row["step"] <= start]
            write_whole(self._path, "".join(lines))
            self._events = _event_writer(folder / "tensorboard", start)

    def write(self, *, step: int, epoch: float, **figures: float) -> None:
        """Add a line about the first `step` steps, which make `epoch` epochs."""
        if not processes.is_first():
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
