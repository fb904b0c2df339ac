from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from rsmoe_core.checkpoint.load import save_model
from tests.tiny import make_tiny

Cli = Callable[..., Result]


def test_a_drawn_scene_is_captioned_and_measured(rsmoe: Cli, tmp_path: Path) -> None:
    save_model(make_tiny(), tmp_path / "tiny")
    done = rsmoe(
        "bench", "--model", "tiny", "--side", "256", "--tile-size", "64", "--rounds", "1", "--loop", "rsmoe", "--json"
    )
    assert done.exit_code == 0, done.stderr
    figures = json.loads(done.stdout)
    ours = figures["loops"]["rsmoe"]
    assert 0 < ours["captions"] < 16
    assert 0 <= ours["waiting_share"] < 1
    assert 50e6 < ours["peak_bytes"] < 4e9
    assert figures["tile_flops"] > 1e6
    assert 0 < figures["efficiencies"][0] < 1


def test_unknown_loops_and_missing_scenes_are_errors(rsmoe: Cli) -> None:
    unknown = rsmoe("bench", "--side", "256", "--loop", "faster")
    assert (unknown.exit_code, "one-by-one" in unknown.stderr) == (2, True)
    missing = rsmoe("bench", "missing.tif")
    assert (missing.exit_code, missing.stderr.count("\n")) == (1, 1)


@pytest.fixture(autouse=True)
def _tmp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
