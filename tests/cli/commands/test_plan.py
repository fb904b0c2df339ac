from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from rsmoe_cli.commands.plan import parse_size
from rsmoe_cli.planning.speeds import SpeedKey, record_speed
from rsmoe_core.checkpoint.load import save_model
from rsmoe_core.config import CaptionOptions
from rsmoe_core.errors import UsageError
from tests.cli.rasters import rgb
from tests.tiny import make_tiny

Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> str:
    save_model(make_tiny(), tmp_path / "model")
    return "model"


def test_a_plan_says_what_a_run_will_take(rsmoe: Cli, tmp_path: Path, model: str) -> None:
    scene = rgb(tmp_path / "scene.tif", 128, 192)
    arguments = ("plan", scene, "--model", model, "--device", "cpu", "--tile-size", 64)
    result = rsmoe(*arguments)
    assert result.exit_code == 0, result.stderr
    for text in (
        "192 x 128 pixels, 10 m a pixel, WGS 84 / UTM zone 31N",
        "tiles: 6 of 64 pixels, overlap 0; 0% blank",
        "5 texts",
        "batch: 32 tiles",
        "time: unknown; measure it once with: rsmoe models check model --device cpu",
    ):
        assert text in result.stdout
    figures = json.loads(rsmoe(*arguments, "--json").stdout)
    assert (figures["visible_tiles"], figures["seconds"]) == (6, None)
    key = SpeedKey.of(figures["model"]["revision"], "cpu", "float32", CaptionOptions())
    record_speed(key, 0.5, "models check")
    assert "time: about 12 s at 0.50 tiles/s (models check on " in rsmoe(*arguments).stdout
    assert "time: unknown" in rsmoe(*arguments, "--mixture", "direct").stdout
    assert "does not fit into 100 kB" in rsmoe(*arguments, "--memory", "100kB").stdout


def test_many_scenes_are_planned_together(rsmoe: Cli, tmp_path: Path, model: str) -> None:
    scenes = [rgb(tmp_path / f"{number}.tif", 64, 64) for number in range(2)]
    (tmp_path / "broken.tif").write_bytes(b"no raster")
    result = rsmoe("plan", *scenes, tmp_path / "broken.tif", "--model", model, "--tile-size", 64)
    assert result.exit_code == 0
    assert "all scenes: 2 tiles" in result.stdout
    assert "broken.tif: cannot be opened: " in result.stdout
    assert rsmoe("plan", tmp_path / "broken.tif", "--model", model).exit_code == 1


def test_a_server_is_not_asked(rsmoe: Cli, tmp_path: Path) -> None:
    scene = rgb(tmp_path / "scene.tif", 64, 64)
    result = rsmoe("plan", scene, "--endpoint", "http://127.0.0.1:9/v1", "--model", "vlm")
    assert result.exit_code == 0, result.stderr
    assert "model: on a server" in result.stdout
    assert "rsmoe models check vlm --endpoint http://127.0.0.1:9/v1" in result.stdout


def test_sizes_are_understood() -> None:
    assert [parse_size(text) for text in ("24GB", "24 gb", "1.5g", "800MB", "8GiB", "1000")] == [
        24e9,
        24e9,
        1.5e9,
        8e8,
        8 * 2**30,
        1000,
    ]
    for text in ("", "GB", "0", "-3GB", "lots", "3 apples"):
        with pytest.raises(UsageError, match="write a size such as 24GB"):
            parse_size(text)
