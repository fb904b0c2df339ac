from __future__ import annotations

import pytest
import torch
from torch import nn

from rsmoe_core.training.ema import EMA


def parameter(value: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor([value]))


def test_the_average_follows_faster_in_the_first_steps() -> None:
    weight = parameter(0.0)
    ema = EMA([("weight", weight)], decay=0.5)
    with torch.no_grad():
        weight.fill_(1.0)
    ema.update(0)
    assert ema.values["weight"].item() == pytest.approx(0.9), "a tenth of the initial value is left"
    ema.update(1)
    assert ema.values["weight"].item() == pytest.approx(1 - 0.1 * 2 / 11)
    ema.update(1000)
    assert ema.values["weight"].item() == pytest.approx(1 - 0.1 * 2 / 11 / 2), "finally the decay itself"


def test_parameters_are_restored_to_the_bit() -> None:
    weight = parameter(0.1)
    ema = EMA([("weight", weight)], decay=0.9)
    with torch.no_grad():
        weight.fill_(0.7)
    with ema.swapped_in():
        assert weight.item() == pytest.approx(0.1)
    assert torch.equal(weight, parameter(0.7))
    ema.swap()
    assert torch.equal(weight, parameter(0.1))


def test_without_a_decay_nothing_is_stored() -> None:
    weight = parameter(0.7)
    ema = EMA([("weight", weight)], decay=0.0)
    ema.update(0)
    ema.swap()
    assert ema.values == {}
    assert torch.equal(weight, parameter(0.7))
