"""A few dozen of the inputs that `benchmarks/fuzz.py` damages by the thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fuzz import fuzz
from benchmarks.fuzzing import watch
from benchmarks.fuzzing.verdicts import CRASH, FINE, HANG, REFUSED
from benchmarks.fuzzing.watch import outcomes

MUTANTS = {"scene": 40, "caption": 8, "model": 6, "data": 40}
MADE = {"fill": 8, "encoding": 15, "geopackage": 3}


@pytest.mark.parametrize("target", MUTANTS)
def test_damaged_inputs_do_no_harm(target: str) -> None:
    counts, wrong = fuzz(target, MUTANTS[target], seed=0, scenes=[])
    assert wrong == []
    assert counts.total() == MUTANTS[target]
    assert counts[REFUSED] > 0
    assert set(counts) <= set(FINE)


@pytest.mark.parametrize("target", MADE)
def test_valid_inputs_give_the_right_result(target: str) -> None:
    counts, wrong = fuzz(target, MADE[target], seed=0, scenes=[])
    assert wrong == []
    assert counts.total() == MADE[target]


def test_the_same_seed_makes_the_same_mutants() -> None:
    assert fuzz("data", 10, 1, []) == fuzz("data", 10, 1, [])


def test_mutants_that_crash_or_block_the_process_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that responds to all inputs but two stands in for the one that reads them."""
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, os, sys, time\n"
        "for line in sys.stdin:\n"
        "    if 'crash' in line: os.abort()\n"
        "    if 'hang' in line: time.sleep(60)\n"
        f"    print(json.dumps([{REFUSED!r}, line.strip()]), flush=True)\n"
    )
    monkeypatch.setattr(watch, "_COMMAND", (str(worker),))
    monkeypatch.setattr(watch, "_SECONDS", 1)
    monkeypatch.setattr(watch, "_START_SECONDS", 4)
    names = [Path(name) for name in ("a", "crash", "b", "hang", "c")]
    found = {path.name: what for path, (what, _) in outcomes("scene", names)}
    assert found == {"a": REFUSED, "crash": CRASH, "b": REFUSED, "hang": HANG, "c": REFUSED}
