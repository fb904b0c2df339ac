from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rsmoe_core.checkpoint.load import load_model
from rsmoe_core.training.checkpoints import BestCheckpoint
from rsmoe_core.training.log import read_log
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.native import NativeTrainee
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.objectives.text import TextObjective
from rsmoe_core.training.phases import Phase
from tests.core.training.conftest import ALIGN
from tests.tiny import make_tiny

SCORES = [0.1, 0.3, 0.2, 0.25, 0.9, 0.9]
PHASE = dataclasses.replace(ALIGN, epochs=len(SCORES), images_per_step=15, patience=2)


class ScriptedObjective(TextObjective):
    """Its scores are those above, from some epoch on; notes the epochs for which it was calibrated."""

    epoch = 0

    def validate(self) -> tuple[float, dict[str, float]]:
        self.epoch += 1
        return SCORES[self.epoch - 1], {"validation_score": SCORES[self.epoch - 1]}

    def calibrate(self) -> None:
        self.__dict__.setdefault("calibrated", []).append(self.epoch)


def train(
    data: TrainingData, out: Path, phase: Phase = PHASE, epoch: int = 0, **settings: object
) -> tuple[bool, dict[str, float], ScriptedObjective]:
    options = RunOptions(out, bf16=False, save_every=1, **settings)
    model = make_tiny(experts=False)
    objective = ScriptedObjective(model, phase, phase.objective, data, data, options)
    objective.epoch = epoch
    best_checkpoint = BestCheckpoint(NativeTrainee(model), objective, phase, options)
    ended = run_phase(objective, phase, options, best_checkpoint, best_checkpoint.should_stop)
    return ended, best_checkpoint.best, objective


def epochs(out: Path) -> list[int]:
    return [row["epoch"] for row in read_log(out) if "validation_score" in row]


def test_patience_ends_a_phase_and_the_best_epoch_is_stored(data: TrainingData, tmp_path: Path) -> None:
    ended, best, objective = train(data, tmp_path)
    assert ended
    assert best == {"epoch": 2, "score": 0.3}
    assert epochs(tmp_path) == [1, 2, 3, 4], "two steps each; the fifth, the best of all, is never reached"
    assert max(row["step"] for row in read_log(tmp_path)) == 8
    assert objective.calibrated == [1, 2], "calibrated only where the model is stored"


def test_the_ema_is_what_is_stored(data: TrainingData, tmp_path: Path) -> None:
    train(data, tmp_path, dataclasses.replace(PHASE, ema_decay=0.9), max_steps=4)
    last = load_file(str(tmp_path / "last" / "state.safetensors"))
    stored = load_model(tmp_path / "best").state_dict()
    averaged = {key.removeprefix("ema/"): value for key, value in last.items() if key.startswith("ema/")}
    assert averaged
    assert all(torch.equal(stored[name], value) for name, value in averaged.items())
    assert any(not torch.equal(stored[name], last[f"parameter/{name}"]) for name in averaged)


@pytest.mark.parametrize("stop", [3, 4, 7, 8])
def test_an_interrupted_run_ends_like_an_uninterrupted_one(data: TrainingData, tmp_path: Path, stop: int) -> None:
    """Within an epoch, at its end, and where patience has run out already."""
    ended, *_ = train(data, tmp_path, max_steps=stop)
    assert not ended
    ended, best, _ = train(data, tmp_path, epoch=stop // 2)
    assert ended
    assert best == {"epoch": 2, "score": 0.3}
    assert epochs(tmp_path) == [1, 2, 3, 4]
    assert max(row["step"] for row in read_log(tmp_path)) == 8
