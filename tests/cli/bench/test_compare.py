from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_cli.bench import compare as module
from rsmoe_cli.bench.compare import Contest, hold
from rsmoe_cli.bench.report import report
from rsmoe_cli.bench.run import Measured, Run


def measured(captions_per_second: float, peak: int = 10**9) -> Measured:
    seconds = 100 / captions_per_second
    return Measured(Run(100, seconds, waited=0.04 * seconds, first=1.0), wall=seconds + 5, peak=peak)


CONTEST = Contest(
    rounds=(
        {"one-by-one": measured(1.0), "rsmoe": measured(12.0)},
        {"one-by-one": measured(2.0), "rsmoe": measured(20.0)},
        {"one-by-one": measured(1.0), "rsmoe": measured(11.0)},
    ),
    captions={"one-by-one": {"a": "sea", "b": "port", "c": "sea"}, "rsmoe": {"a": "sea", "b": "pond", "d": "sea"}},
    product_flops=(90e9, 110e9, 100e9, 100e9),
)


def test_loops_are_compared_within_their_round() -> None:
    assert CONTEST.ratios("rsmoe", "one-by-one") == pytest.approx([12, 10, 11])


def test_efficiency_is_what_was_needed_of_what_was_there() -> None:
    assert CONTEST.efficiencies("rsmoe", 3e9) == pytest.approx([0.36, 20 * 3 / 105, 0.33])


def test_tiles_that_one_loop_lacks_are_not_alike() -> None:
    assert CONTEST.alike("rsmoe", "one-by-one") == 0.25
    assert CONTEST.alike("rsmoe", "rsmoe") == 1.0


def test_the_report_has_medians_and_their_spread() -> None:
    shown = report(CONTEST, "a.tif", "a machine", 3e9).shown()
    assert (
        "| rsmoe      | 12.00      | 4.0%              | 1000         | 5.0      | 6.0              | 100.0%        |"
        in shown
    )
    assert "rsmoe is 11.0 (10.0-12.0) times as fast as one-by-one" in shown
    assert "efficiency of rsmoe: 0.36 (0.33-0.57)" in shown


def test_loops_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []

    def run(loop: str, *_: object) -> Measured:
        turns.append(loop)
        return measured(1.0)

    monkeypatch.setattr(module, "measure", run)
    monkeypatch.setattr(module, "_captions", lambda path: {path.stem: ""})
    held = hold(
        ["a", "b"], "scene", "nano", 224, 2, tmp_path, lambda: turns.append("machine") or 1.0, lambda line: None
    )
    assert turns == ["machine", "a", "b", "machine", "a", "b", "machine"]
    assert len(held.rounds) == 2
    assert held.captions == {"a": {"a": ""}, "b": {"b": ""}}
