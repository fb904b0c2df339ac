from __future__ import annotations

import pytest
import torch

from rsmoe_core import devices
from rsmoe_core.errors import UsageError


def test_auto_finds_a_device_that_works() -> None:
    assert torch.zeros(1, device=devices.find_device("auto")).item() == 0


@pytest.mark.parametrize("name", ["toaster", "cuda:99"])
def test_an_unusable_device_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="try --device cpu"):
        devices.find_device(name)


@pytest.mark.parametrize(("asked", "bf16"), [("bf16", True), ("fp32", False)])
def test_a_given_precision_is_not_measured(monkeypatch: pytest.MonkeyPatch, asked: str, bf16: bool) -> None:
    monkeypatch.setattr(devices, "_matmul_seconds", lambda dtype, device: pytest.fail("measured"))
    assert devices.uses_bf16(asked) is bf16


@pytest.mark.parametrize(("seconds", "bf16"), [(0.5, True), (2.0, False)])
def test_auto_takes_the_faster_one(monkeypatch: pytest.MonkeyPatch, seconds: float, bf16: bool) -> None:
    measured = {torch.bfloat16: seconds, torch.float32: 1.0}
    monkeypatch.setattr(devices, "_matmul_seconds", lambda dtype, device: measured[dtype])
    assert devices.uses_bf16("auto") is bf16


def test_auto_really_measures() -> None:
    assert devices.uses_bf16("auto") in (True, False)


def test_other_precisions_are_refused() -> None:
    with pytest.raises(UsageError, match="no precision 'fp8'; choose one of: auto, bf16, fp32"):
        devices.uses_bf16("fp8")
