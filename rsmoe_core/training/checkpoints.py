"""Which epoch is kept, and when there have been enough of them."""

from __future__ import annotations

import json
import math

from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.training.distributed import from_rank0
from rsmoe_core.training.objectives.base import Objective, RunOptions
from rsmoe_core.training.run_folder import save_whole, write_whole
from rsmoe_core.training.stages import Phase


class BestCheckpoint:
    """After each epoch: validate, and keep the model folder of the best epoch so far in `best/`.

    `best/` is written before `best.json`: a run killed between the two repeats the epoch, finds the same score better
    than the recorded one, and keeps the same model again.
    """

    def __init__(self, model: RSMoE, objective: Objective, phase: Phase, session: RunOptions) -> None:
        self._model, self._objective, self._phase, self._out = model, objective, phase, session.out
        self._record = session.out / "best.json"
        known = self._record.is_file() and (session.out / "best").is_dir()
        self.best: dict[str, float] = json.loads(self._record.read_text()) if known else {"score": -math.inf}
        """Epoch and score of the best."""

    def __call__(self, epoch: int) -> dict[str, float]:
        """Figures for the log."""
        self.best, figures = from_rank0(lambda: self._judge(epoch))
        return figures

    def should_stop(self, epochs: int) -> bool:
        """Whether of so many epochs the last ones, as many as the phase has patience for, were no better."""
        patience = self._phase.patience
        return patience is not None and epochs - self.best.get("epoch", 0) >= patience

    def _judge(self, epoch: int) -> tuple[dict[str, float], dict[str, float]]:
        score, figures = self._objective.validate()
        if score <= self.best["score"]:
            return self.best, figures
        save_whole(self._model, self._out / "best")
        best = {"epoch": epoch, "score": score}
        write_whole(self._record, json.dumps(best) + "\n")
        return best, figures
