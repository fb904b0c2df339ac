from __future__ import annotations

from pathlib import Path

import pytest

from rsmoe_cli.bench import compare as module
from rsmoe_cli.bench.compare import Comparison, compare_loops, comparison_report
from rsmoe_cli.bench.measure import Measurement, Run


def measured(captions_per_second: float, peak: int = 10**9) -> Measurement:
    seconds = 100 / captions_per_second
    return Measurement(Run(100, seconds, waited=0.04 * seconds, first=1.0), wall=seconds + 5, peak=peak)


COMPARISON = Comparison(
    rounds=(
        {"one-by-one": measured(1.0), "rsmoe": measured(12.0)},
        {"one-by-one": measured(2.0), "rsmoe": measured(20.0)},
        {"one-by-one": measured(1.0), "rsmoe": measured(11.0)},
    ),
    captions={"one-by-one": {"a": "sea", "b": "port", "c": "sea"}, "rsmoe": {"a": "sea", "b": "pond", "d": "sea"}},
    product_flops=(90e9, 110e9, 100e9, 100e9),
)


def test_loops_are_compared_within_their_round() -> None:
    assert COMPARISON.ratios("rsmoe", "one-by-one") == pytest.approx([12, 10, 11])


def test_efficiency_is_the_used_share_of_the_machines_speed() -> None:
    assert COMPARISON.efficiencies("rsmoe", 3e9) == pytest.approx([0.36, 20 * 3 / 105, 0.33])


def test_tiles_that_one_loop_lacks_differ() -> None:
    assert COMPARISON.equal_share("rsmoe", "one-by-one") == 0.25
    assert COMPARISON.equal_share("rsmoe", "rsmoe") == 1.0


def test_the_report_has_medians_with_minimum_and_maximum() -> None:
    shown = comparison_report(COMPARISON, "a.tif", "a machine", 3e9).text()
    assert (
        "| rsmoe      | 12.00      | 4.0%              | 1000         | 5.0      | 6.0              | 100.0%        |"
        in shown
    )
    assert "rsmoe is 11.0 (10.0-12.0) times as fast as one-by-one" in shown
    assert "efficiency of rsmoe: 0.36 (0.33-0.57)" in shown


def test_loops_alternate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []

    def run(loop: str, *_: object) -> Measurement:
        runs.append(loop)
        return measured(1.0)

    monkeypatch.setattr(module, "measure", run)
    monkeypatch.setattr(module, "_read_captions", lambda path: {path.stem: ""})
    monkeypatch.setattr(module, "product_flops", lambda: runs.append("machine") or 1.0)
    compared = compare_loops(["a", "b"], "scene", "nano", 224, 2, tmp_path, lambda line: None)
    assert runs == ["machine", "a", "b", "machine", "a", "b", "machine"]
    assert len(compared.rounds) == 2
    assert compared.captions == {"a": {"a": ""}, "b": {"b": ""}}
