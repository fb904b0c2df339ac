from __future__ import annotations

import pytest

from rsmoe_cli import console
from rsmoe_cli.together import together
from rsmoe_core.errors import UsageError
from rsmoe_core.training import distributed


@pytest.mark.usefixtures("rsmoe")  # puts logging back
@pytest.mark.parametrize(("number", "said"), [(0, "hello\n"), (1, "")])
def test_all_but_the_first_process_fall_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, said: str
) -> None:
    console.set_level(30)
    monkeypatch.setattr(distributed, "number", lambda: number)
    with together("cpu", "fp32") as (where, bf16):
        console.print_note("hello")
    assert (where, bf16) == ("cpu", False)
    assert capsys.readouterr().err == said


def test_a_device_or_precision_that_cannot_be_meant_is_refused() -> None:
    for device, precision in (("tpu9", "fp32"), ("cpu", "fp8")):
        with pytest.raises(UsageError), together(device, precision):
            pass
