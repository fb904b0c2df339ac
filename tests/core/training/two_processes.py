"""One of two real processes, started by test_distributed.py with the variables that a launcher sets.

Both get the error that rank 0 raises. Then they train where the number of processes should make no difference, and
every phase of both stages for two steps, and write down a digest of the model after each.
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
from rsmoe_core.training.phases import Phase
from rsmoe_core.training.run import TrainConfig, run_stage
from rsmoe_core.training.stages import find_stage
from tests.core.training.conftest import ALIKE, make_alike
from tests.tiny import make_tiny


def train_alike(out: Path, accumulate: int = 1) -> TextObjective:
    data, options = make_alike(), RunOptions(out, bf16=False, accumulate=accumulate)
    model = make_tiny(experts=False, dropout=False)
    objective = TextObjective(model, ALIKE, ALIKE.objective, data, data, options)
    run_phase(objective, ALIKE, options, lambda epoch: {})
    return objective


def refuse() -> None:
    raise TrainingError("not like this")


def digest(objective: Objective) -> str:
    values = [*objective.trained, *((name, v) for name, v in objective.buffers if v.is_floating_point())]
    return hashlib.sha256(b"".join(value.detach().numpy().tobytes() for _, value in values)).hexdigest()


def main(out: Path, data: Path) -> None:
    digests: dict[str, str] = {}
    reported: list[str] = []

    def recorded(objective: Objective, phase: Phase, *rest: object) -> bool:
        ended = run_phase(objective, phase, *rest)
        digests[phase.name] = digest(objective)
        return ended

    with distributed.initialised("cpu"), pytest.MonkeyPatch.context() as patch:
        with pytest.raises(TrainingError, match="not like this"):
            distributed.from_rank0(refuse)
        digests["alike"] = digest(train_alike(out / "alike"))
        patch.setattr(run, "run_phase", recorded)
        config = TrainConfig((data,), out, validation_split=0.2, bf16=False, max_steps=2)
        start = run_stage(find_stage("1"), config, preset=tiny(), report=reported.append)
        run_stage(find_stage("2").with_limits(epochs=2), config, start=start, report=reported.append)
        (out / f"{distributed.rank()}.json").write_text(json.dumps({"digests": digests, "reported": reported}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
