from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from rsmoe_cli.errors import SceneError
from rsmoe_cli.pipeline.inputs import TilingOptions, file_signature, find_scenes
from rsmoe_cli.raster.scene import Scene
from rsmoe_core.errors import UsageError
from tests.cli.fakes import FakeEngine
from tests.cli.rasters import rgb
from tests.cli.test_references import vrt

Cli = Callable[..., Result]

REMOTE = ["https://example.org/a.tif?x=[1]", "s3://bucket/*.tif", "/vsizip/a.zip/*.tif"]


def test_words_become_scenes_in_order_and_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("deep/deeper").mkdir(parents=True)
    for name in ("b.tif", "a.TIF", "c.png", "notes.txt", "out.gpkg", "[x].tif", "deep/e.jp2", "deep/deeper/f.tif"):
        Path(name).touch()
    assert find_scenes(["b.tif", "a.*", "b.tif"]) == ["b.tif", "a.TIF"]
    assert find_scenes(["."]) == ["[x].tif", "a.TIF", "b.tif", "c.png"]
    assert find_scenes(["deep", "c.png"]) == ["deep/e.jp2", "c.png"]
    assert find_scenes(["deep/**/*.tif"]) == ["deep/deeper/f.tif"]
    assert find_scenes(["[x].tif"]) == ["[x].tif"], "a file that is there is no pattern"
    assert find_scenes(["none.tif", *REMOTE]) == ["none.tif", *REMOTE], "whether it is there is asked later"
    with pytest.raises(SceneError, match=r"no file is called like '\*\.jpeg'; check the pattern"):
        find_scenes(["*.jpeg"])
    Path("empty").mkdir()
    with pytest.raises(SceneError, match="no raster in the folder empty"):
        find_scenes(["empty"])


def test_a_scene_that_is_opened_twice_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [rgb(tmp_path / name) for name in ("a.tif", "b.tif")]
    opened: list[str] = []
    real = TilingOptions.open.__globals__["open_scene"]

    def counted(path: str, *more: object) -> Scene:
        opened.append(path)
        return real(path, *more)

    monkeypatch.setattr("rsmoe_cli.pipeline.inputs.open_scene", counted)
    cutting = TilingOptions(None, "auto", "400m", 0)
    for path in (paths[0], paths[0], paths[1], paths[0]):
        assert cutting.open(path).path == path
    assert opened == [paths[0], paths[1], paths[0]], "no more than one is held"
    assert cutting.grid(cutting.open(paths[0]), 32).size == 40
    with pytest.raises(UsageError, match="tile size"):
        TilingOptions(None, "auto", "huge", 0).open(paths[0])


def test_a_stamp_changes_with_the_files_of_a_scene(tmp_path: Path) -> None:
    path = Path(rgb(tmp_path / "a.tif"))
    vrt = tmp_path / "a.vrt"
    vrt.write_text(
        '<VRTDataset rasterXSize="70" rasterYSize="50"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    before = file_signature(str(path)), file_signature(str(vrt))
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    assert (file_signature(str(path)), file_signature(str(vrt))) == before, (
        "statistics that a viewer leaves are no change"
    )
    os.utime(path, (4e9, 4e9))
    assert file_signature(str(path)) != before[0]
    assert file_signature(str(vrt)) != before[1], "what a VRT is made of counts"
    assert file_signature(f"/vsisubfile/0_{path.stat().st_size},{path}").startswith(
        "70 x 50 pixels at (10.0, 0.0, 500000.0"
    )
    with pytest.raises(SceneError):
        file_signature(str(tmp_path / "none.tif"))


def test_a_further_scene_that_names_what_lies_elsewhere_is_left_out_unopened(
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
