"""The scripts in `benchmarks/`, as far as they can be tried in seconds."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from rsmoe_core.metrics.counting import Fit, Searched

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def port(ships: int, found: int) -> Searched:
    boxes = tuple((10.0 * n, 10.0, 4.0, 4.0) for n in range(ships))
    return Searched(tuple((10.0 * n, 10.0, 0.9) for n in range(found)), boxes)


def test_ports_are_listed_with_their_errors_beside_the_usual_number() -> None:
    script = runpy.run_path(str(BENCHMARKS / "leave_one_port_out.py"))
    searched = {"a": port(10, 12), "b": port(20, 20), "c": port(30, 15)}
    rows = script["table"](searched, dict.fromkeys(searched, Fit(0.5, 1.0, 0.0, 0.0))).splitlines()
    assert rows[2:5] == ["| a | 10 | 12 | 0.20 |", "| b | 20 | 20 | 0.00 |", "| c | 30 | 15 | 0.50 |"]
    assert "**0.23**" in rows[5]
    usual = (15 / 10 + 0 / 20 + 15 / 30) / 3  # always the median of the two others: 25, 20, 15
    assert float(rows[6].split("|")[-2]) == pytest.approx(usual, abs=0.005)
