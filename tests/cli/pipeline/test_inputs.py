from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from typer.testing import Result

from rsmoe_cli.errors import SceneError
from rsmoe_cli.option_groups import TilingOptions
from rsmoe_cli.pipeline import inputs, scenes
from rsmoe_cli.pipeline.inputs import cut, find_scenes, open_input
from rsmoe_cli.raster.scene import Scene, SceneFile
from rsmoe_core.errors import UsageError
from tests.cli.fakes import FakeEngine
from tests.cli.raster.test_safety import vrt
from tests.cli.rasters import rgb

Cli = Callable[..., Result]

REMOTE = ["https://example.org/a.tif?x=[1]", "s3://bucket/*.tif", "/vsizip/a.zip/*.tif"]


def test_arguments_become_scenes_in_order_and_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deep/deeper").mkdir(parents=True)
    for name in ("b.tif", "a.TIF", "c.png", "notes.txt", "out.gpkg", "[x].tif", "deep/e.jp2", "deep/deeper/f.tif"):
        Path(name).touch()
    assert find_scenes(["b.tif", "a.*", "b.tif"]) == ["b.tif", "a.TIF"]
    assert find_scenes(["."]) == ["[x].tif", "a.TIF", "b.tif", "c.png"]
    assert find_scenes(["deep", "c.png"]) == ["deep/e.jp2", "c.png"]
    assert find_scenes(["deep/**/*.tif"]) == ["deep/deeper/f.tif"]
    assert find_scenes(["[x].tif"]) == ["[x].tif"], "a file that exists is not a pattern"
    assert find_scenes(["none.tif", *REMOTE]) == ["none.tif", *REMOTE], "whether it exists is checked later"
    with pytest.raises(SceneError, match=r"no file matches '\*\.jpeg'; check the pattern"):
        find_scenes(["*.jpeg"])
    Path("empty").mkdir()
    with pytest.raises(SceneError, match="no raster in the folder empty"):
        find_scenes(["empty"])


def test_tiles_have_the_size_and_overlap_that_are_asked_for(tmp_path: Path) -> None:
    path = rgb(tmp_path / "a.tif")

    def grid(tile_size: str | None, overlap: int | None) -> tuple[int, int]:
        tiling = TilingOptions(None, "auto", tile_size, overlap)
        tiles = cut(open_input(path, tiling), tiling, 32)
        return tiles.size, tiles.overlap

    assert grid("400m", 0) == (40, 0)
    assert grid("40", None) == (40, 10), "a quarter of a tile"
    assert grid(None, None)[1] == 8, "a quarter of a tile of the wanted size"
    assert grid(None, 0) == (25, 0), "tiles that fit 70 x 50 pixels"
    with pytest.raises(UsageError, match="tile size"):
        open_input(path, TilingOptions(None, "auto", "huge", 0))


@pytest.mark.parametrize("command", [("caption",), ("ask", "How many ships are there?")])
def test_every_scene_is_opened_once(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    for name in ("a.tif", "b.tif"):
        rgb(tmp_path / name)
    opened: list[str] = []
    statistics: list[str] = []
    real_open, real_scene = inputs.checked_scene, SceneFile.scene

    def counting_open(path: str, *more: object) -> AbstractContextManager[SceneFile]:
        opened.append(path)
        return real_open(path, *more)

    def counting_scene(file: SceneFile, *more: object) -> Scene:
        statistics.append(file.path)
        return real_scene(file, *more)

    monkeypatch.setattr(inputs, "checked_scene", counting_open)
    monkeypatch.setattr(scenes, "checked_scene", counting_open)
    monkeypatch.setattr(SceneFile, "scene", counting_scene)
    name, *question = command
    result = rsmoe(name, "a.tif", "b.tif", *question, "-o", "out.gpkg")
    assert result.exit_code == 0, result.stderr
    assert opened == statistics == ["a.tif", "b.tif"]


def test_a_later_scene_that_refers_elsewhere_is_left_out_unopened(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path
) -> None:
    for folder in ("home", "elsewhere"):
        (tmp_path / folder).mkdir()
        rgb(tmp_path / folder / "a.tif")
    vrt(tmp_path / "home" / "b.vrt", str(tmp_path / "elsewhere" / "a.tif"), relative=0)
    result = rsmoe("caption", "home", "-o", "out.gpkg", "--tile-size", "32")
    assert result.exit_code == 3
    assert "left out: home/b.vrt refers to" in result.stderr
    result = rsmoe("caption", "home", "-o", "all.gpkg", "--tile-size", "32", "--allow-external")
    assert "refers to" not in result.stderr
