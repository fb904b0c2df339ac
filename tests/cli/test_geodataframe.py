from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pytest
from typer.testing import Result

from rsmoe_cli.errors import SceneError
from rsmoe_cli.geodataframe import caption_scene
from tests.cli.commands.test_ask import ships
from tests.cli.fakes import FakeEngine


def test_it_is_what_the_command_writes(rsmoe: Callable[..., Result], engine: FakeEngine, tmp_path: Path) -> None:
    path = ships(tmp_path / "a.tif")
    result = rsmoe("caption", "a.tif", "-o", "a.gpkg", "--tile-size", "32", "--prompts")
    assert result.exit_code == 0, result.stderr
    written = gpd.read_file("a.gpkg", layer="captions")
    frame = caption_scene(path, engine, tile_size="32", prompts=True)
    assert frame.crs == written.crs
    assert len(frame) == len(written) == 12
    assert frame.geometry.geom_equals(written.geometry).all()
    assert frame["caption"].tolist() == written["caption"].tolist()
    assert list(frame.columns) == list(written.columns)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gpkg", "a.tif"]


def test_failed_tiles_are_rows_and_several_scenes_are_named(engine: FakeEngine, tmp_path: Path) -> None:
    paths = [Path(ships(tmp_path / name)) for name in ("a.tif", "b.tif")]
    engine.poison = (1, 2, 3)
    frame = caption_scene(paths, engine, dst_crs="EPSG:3857")
    assert frame["scene"].nunique() == 2
    assert frame.crs == "EPSG:3857"
    with pytest.raises(SceneError, match=r"none\.tif"):
        caption_scene(tmp_path / "none.tif", engine)
