from __future__ import annotations

import pytest
import torch
from torch import nn

from rsmoe_core.training.ema import EMA


def parameter(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value]))


def test_the_average_follows_faster_at_first() -> None:
    one = parameter(0.0)
    average = EMA([("one", one)], decay=0.5)
    with torch.no_grad():
        one.fill_(1.0)
    average.update(0)
    assert average.values["one"].item() == pytest.approx(0.9), "a tenth of the start is left"
    average.update(1)
    assert average.values["one"].item() == pytest.approx(1 - 0.1 * 2 / 11)
    average.update(1000)
    assert average.values["one"].item() == pytest.approx(1 - 0.1 * 2 / 11 / 2), "at last the decay itself"


def test_the_parameters_are_back_to_the_bit() -> None:
    one = parameter(0.1)
    average = EMA([("one", one)], decay=0.9)
    with torch.no_grad():
        one.fill_(0.7)
    with average.in_place():
        assert one.item() == pytest.approx(0.1)
    assert torch.equal(one, parameter(0.7))
    average.swap()
    assert torch.equal(one, parameter(0.1))


def test_without_a_decay_nothing_is_kept() -> None:
    one = parameter(0.7)
    average = EMA([("one", one)], decay=0.0)
    average.update(0)
    average.swap()
    assert average.values == {}
    assert torch.equal(one, parameter(0.7))
