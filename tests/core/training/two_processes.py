"""One of two real processes, started by test_processes.py with the variables that a launcher sets.

All of them are refused what the first is. Then they train where their number should make no difference, and every
phase of both stages for two steps, and write down what the model is after each.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from rsmoe_core.errors import TrainingError
from rsmoe_core.presets import tiny
from rsmoe_core.training import distributed, run
from rsmoe_core.training.loop import run_phase
from rsmoe_core.training.objectives.base import Objective, RunOptions
from rsmoe_core.training.objectives.text import TextObjective
from rsmoe_core.training.run import TrainConfig, run_stage
from rsmoe_core.training.stages import Phase, stage
from tests.core.training.conftest import ALIKE, make_alike
from tests.tiny import make_tiny


def train_alike(out: Path, accumulate: int = 1) -> TextObjective:
    material, session = make_alike(), RunOptions(out, bf16=False, accumulate=accumulate)
    objective = TextObjective(make_tiny(experts=False, dropout=False), ALIKE, material, material, session)
    run_phase(objective, ALIKE, session, lambda epoch: {})
    return objective


def refuse() -> None:
    raise TrainingError("not like this")


def digest(objective: Objective) -> str:
    values = [*objective.trained, *((name, v) for name, v in objective.statistics if v.is_floating_point())]
    return hashlib.sha256(b"".join(value.detach().numpy().tobytes() for _, value in values)).hexdigest()


def main(out: Path, data: Path) -> None:
    digests: dict[str, str] = {}
    said: list[str] = []

    def recorded(objective: Objective, phase: Phase, *rest: object) -> bool:
        ended = run_phase(objective, phase, *rest)
        digests[f"{phase.name} of {phase.objective}"] = digest(objective)
        return ended

    with distributed.initialised("cpu"), pytest.MonkeyPatch.context() as patch:
        with pytest.raises(TrainingError, match="not like this"):
            distributed.from_rank0(refuse)
        digests["alike"] = digest(train_alike(out / "alike"))
        patch.setattr(run, "run_phase", recorded)
        chosen = TrainConfig((data,), out, holdout=0.2, bf16=False, max_steps=2)
        start = run_stage(stage("1"), chosen, config=tiny(), say=said.append)
        run_stage(stage("2").with_epochs(2), chosen, start=start, say=said.append)
        result = {"digests": digests, "said": said}
        (out / f"{distributed.number()}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
