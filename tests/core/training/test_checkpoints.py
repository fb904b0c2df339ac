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
from rsmoe_core.training.objectives.base import RunOptions, TrainingData
from rsmoe_core.training.objectives.text import TextObjective
from rsmoe_core.training.stages import Phase
from tests.core.conftest import make_tiny
from tests.core.training.conftest import ALIGN

SCORES = [0.1, 0.3, 0.2, 0.25, 0.9, 0.9]
PHASE = dataclasses.replace(ALIGN, epochs=len(SCORES), images_per_step=15, patience=2)


class Scored(TextObjective):
    """Scores as they stand above, from some epoch on."""

    after = 0

    def validate(self) -> tuple[float, dict[str, float]]:
        self.after += 1
        return SCORES[self.after - 1], {"validation_score": SCORES[self.after - 1]}


def train(
    material: TrainingData, out: Path, phase: Phase = PHASE, after: int = 0, **options: object
) -> tuple[bool, dict[str, float]]:
    session = RunOptions(out, bf16=False, save_every=1, **options)
    model = make_tiny(experts=False)
    objective = Scored(model, phase, material, material, session)
    objective.after = after
    best_checkpoint = BestCheckpoint(model, objective, phase, session)
    return run_phase(objective, phase, session, best_checkpoint, best_checkpoint.should_stop), best_checkpoint.best


def epochs(out: Path) -> list[int]:
    return [row["epoch"] for row in read_log(out) if "validation_score" in row]


def test_patience_ends_a_phase_and_the_best_epoch_is_kept(material: TrainingData, tmp_path: Path) -> None:
    ended, best = train(material, tmp_path)
    assert ended
    assert best == {"epoch": 2, "score": 0.3}
    assert epochs(tmp_path) == [1, 2, 3, 4], "two steps each; the fifth, the best of all, is never seen"
    assert max(row["step"] for row in read_log(tmp_path)) == 8


def test_the_average_is_what_is_kept(material: TrainingData, tmp_path: Path) -> None:
    train(material, tmp_path, dataclasses.replace(PHASE, average=0.9), max_steps=4)
    saved = load_file(str(tmp_path / "last" / "state.safetensors"))
    kept = load_model(tmp_path / "best").state_dict()
    averaged = {key.removeprefix("average/"): value for key, value in saved.items() if key.startswith("average/")}
    assert averaged
    assert all(torch.equal(kept[name], value) for name, value in averaged.items())
    assert any(not torch.equal(kept[name], saved[f"parameter/{name}"]) for name in averaged)


@pytest.mark.parametrize("stop", [3, 4, 7, 8])
def test_a_broken_run_ends_where_an_unbroken_one_does(material: TrainingData, tmp_path: Path, stop: int) -> None:
    """Within an epoch, at its end, and where patience is spent already."""
    ended, _ = train(material, tmp_path, max_steps=stop)
    assert not ended
    ended, best = train(material, tmp_path, after=stop // 2)
    assert ended
    assert best == {"epoch": 2, "score": 0.3}
    assert epochs(tmp_path) == [1, 2, 3, 4]
    assert max(row["step"] for row in read_log(tmp_path)) == 8
