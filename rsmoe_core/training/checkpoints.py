"""The best checkpoint of a phase, and early stopping."""

from __future__ import annotations

import json
import math

from rsmoe_core.training.distributed import from_all, from_rank0
from rsmoe_core.training.objectives.base import Objective, RunOptions
from rsmoe_core.training.phases import Phase
from rsmoe_core.training.run_folder import Saveable, save_model_atomically, write_text_atomically


class BestCheckpoint:
    """Validates after each epoch, and stores the model of the best epoch so far in `best/`.

    `best/` is written before `best.json`. A run that is killed between the two repeats the epoch, finds the same score
    to be better than the recorded one, and stores the same model again.
    """

    def __init__(self, model: Saveable, objective: Objective, phase: Phase, options: RunOptions) -> None:
        self._model, self._objective, self._phase, self._out = model, objective, phase, options.out
        self._in_step = options.in_step
        self._record = options.out / "best.json"
        exists = self._record.is_file() and (options.out / "best").is_dir()
        self.best: dict[str, float] = json.loads(self._record.read_text()) if exists else {"score": -math.inf}
        """Epoch and score of the best epoch."""

    def __call__(self, epoch: int) -> dict[str, float]:
        """Validate after so many epochs; returns the figures for the log."""
        validate = self._objective.validate
        score, figures = (from_all if self._in_step else from_rank0)(validate)
        self.best = from_rank0(lambda: self._record_best(epoch, score))
        return figures

    def should_stop(self, epochs: int) -> bool:
        """Whether the score has not improved for as many epochs as the phase has patience; `epochs` are done."""
        patience = self._phase.patience
        return patience is not None and epochs - self.best.get("epoch", 0) >= patience

    def _record_best(self, epoch: int, score: float) -> dict[str, float]:
        """Store the model if it is better than any before. Returns epoch and score of the best one."""
        if score <= self.best["score"]:
            return self.best
        self._objective.calibrate()
        save_model_atomically(self._model, self._out / "best")
        best = {"epoch": epoch, "score": score}
        write_text_atomically(self._record, json.dumps(best) + "\n")
        return best
