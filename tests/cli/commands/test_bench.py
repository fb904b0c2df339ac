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
    (speed,) = json.loads((tmp_path / "cache" / "rsmoe" / "speeds.json").read_text()).values()
    assert speed["images_per_second"] == pytest.approx(ours["captions_per_second"], abs=1e-4)
    assert (speed["by"], ours["tokens_per_second"] > 0) == ("bench", True)


def test_unknown_loops_and_missing_scenes_are_errors(rsmoe: Cli) -> None:
    unknown = rsmoe("bench", "--side", "256", "--loop", "faster")
    assert (unknown.exit_code, "one-by-one" in unknown.stderr) == (2, True)
    missing = rsmoe("bench", "missing.tif")
    assert (missing.exit_code, missing.stderr.count("\n")) == (1, 1)


def test_quantised_weights_are_compared_with_whole_ones(
    rsmoe: Cli, vlm: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str]) -> tuple[str, float, int]:
        commands.append(command)
        figures = {"captioned": 4, "seconds": 2.0, "waited_seconds": 0.1, "first_seconds": 0.5}
        return json.dumps(figures | {"generated_tokens_per_tile": 10.0}), 3.0, 10**9

    monkeypatch.setattr("rsmoe_cli.bench.measure._run", run)
    captions = {"rsmoe-int8": {"a": "a port", "b": "a field"}, "rsmoe": {"a": "a port", "b": "a pond"}}
    monkeypatch.setattr("rsmoe_cli.bench.compare._read_captions", lambda path: captions[path.stem])
    arguments = ("bench", "--model", vlm("llava"), "--side", "256", "--device", "cpu")
    done = rsmoe(*arguments, "--rounds", "1", "--mixture", "direct", "--loop", "rsmoe", "--loop", "rsmoe-int8")
    assert done.exit_code == 0, done.stderr
    assert "| rsmoe-int8 | 2.00" in done.stdout
    assert "50.0%" in done.stdout
    assert "tokens written in a second: rsmoe-int8 20.0, rsmoe 20.0" in done.stdout
    assert "GFLOP a tile" not in done.stdout
    for command, has_int8 in zip(commands, (True, False), strict=True):
        assert ("int8" in command, "direct" in command) == (has_int8, True)
    refused = rsmoe(*arguments, "--loop", "batches")
    assert (refused.exit_code, "is for native models" in refused.stderr) == (2, True)


@pytest.fixture(autouse=True)
def _tmp(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
