from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_cli import console
from rsmoe_cli.option_groups import TrainingOptions
from rsmoe_cli.training_session import distributed_session
from rsmoe_core.errors import UsageError
from rsmoe_core.training import distributed
from rsmoe_core.training.run import TrainConfig


@pytest.mark.usefixtures("rsmoe")  # restores logging
@pytest.mark.parametrize(("rank", "printed"), [(0, "hello\n"), (1, "")])
def test_all_processes_but_the_first_are_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: int, printed: str
) -> None:
    console.set_level(30)
    monkeypatch.setattr(distributed, "rank", lambda: rank)
    with distributed_session(TrainingOptions(seed=3, device="cpu", precision="fp32")) as train_config:
        console.print_note("hello")
    assert train_config((), Path("run")) == TrainConfig((), Path("run"), 3, device="cpu", bf16=False)
    assert capsys.readouterr().err == printed


@pytest.mark.parametrize(("device", "precision"), [("tpu9", "fp32"), ("cpu", "fp8")])
def test_an_unknown_device_or_precision_is_refused(device: str, precision: str) -> None:
    with pytest.raises(UsageError), distributed_session(TrainingOptions(device=device, precision=precision)):
        pass
