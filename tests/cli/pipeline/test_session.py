"""Which scenes share batches and an output, through the commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from typer.testing import Result

from tests.cli.commands.test_ask import COUNT, ships
from tests.cli.fakes import FakeEngine
from tests.cli.interruptions import interrupted_after
from tests.cli.rasters import NORTH_UP, sea, write_raster

Cli = Callable[..., Result]


def small_scenes(folder: Path, count: int = 12) -> list[str]:
    """Scenes of one tile of 32 pixels, each of its own colour; a file in between that is no raster."""
    (folder / "06.tif").write_text("no raster")
    for number in {*range(count)} - {6}:
        values = np.full((3, 32, 32), 10 * number + 9, np.uint8)
        values[0, 0, 0] = 0  # one value throughout would be blank
        write_raster(folder / f"{number:02}.tif", values, "red green blue", photometric="RGB")
    return [f"{number:02}.tif" for number in range(count)]


@pytest.mark.parametrize(("command", "layer"), [("caption", "captions"), ("ask", "answers")])
def test_small_scenes_share_a_batch(rsmoe: Cli, engine: FakeEngine, tmp_path: Path, command: str, layer: str) -> None:
    scenes = small_scenes(tmp_path)
    engine.batch_size = 12
    question = (COUNT,) if command == "ask" else ()
    result = rsmoe(command, *scenes, *question, "-o", "out.gpkg", "--tile-size", "32")
    assert result.exit_code == 3, "06.tif is no raster"
    assert "left out: cannot read 06.tif" in result.stderr
    assert engine.batches == [11]
    rows = gpd.read_file("out.gpkg", layer=layer)
    scenes.remove("06.tif")
    assert rows["scene"].tolist() == scenes
    assert [row.split(".")[0] for row in rows["id"]] == [str(int(name[:2]) + 1) for name in scenes]
    assert [line[:6] for line in result.stdout.splitlines() if COUNT in line] == (scenes if question else [])


def test_an_interrupted_run_of_small_scenes_is_continued(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    command = ("caption", *small_scenes(tmp_path), "-o", "out.gpkg", "--tile-size", "32")
    undo = interrupted_after(engine, 2)
    stopped = rsmoe(*command)
    undo()
    assert stopped.exit_code == 130
    assert "interrupted; tiles done: 8, recorded in out.gpkg.journal" in stopped.stderr
    engine.batches.clear()
    assert rsmoe(*command).exit_code == 3
    assert engine.batches == [3], "what was recorded is not run again"
    rows = gpd.read_file("out.gpkg", layer="captions")
    colours = [10 * number + 9 for number in range(12) if number != 6]
    assert rows["caption"].tolist() == [f"mean colour {value} {value} {value}" for value in colours]


def test_each_scene_keeps_its_own_scale_and_orientation(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    transforms = {"a": NORTH_UP, "b": NORTH_UP @ Affine(2, 0, 0, 0, 2, 0), "c": NORTH_UP @ Affine(1, 0, 0, 0, -1, 32)}
    for name, transform in transforms.items():
        values = sea([(5, 5)], 32, 32)
        stored = values if name != "c" else values[:, ::-1]
        write_raster(tmp_path / f"{name}.tif", stored, "red green blue", photometric="RGB", transform=transform)
    result = rsmoe("ask", "a.tif", "b.tif", "c.tif", "Where are the ships?", "--tile-size", "32")
    assert result.exit_code == 0, result.stderr
    assert engine.batches == [3]
    assert [request.metres_per_pixel for request in engine.requests] == pytest.approx([10, 20, 10], rel=1e-2)
    assert all((request.image == engine.requests[0].image).all() for request in engine.requests), "with north up"
    assert result.stdout.count("\nupper left (") == 3


def test_progress_is_that_of_the_run(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lines(stderr: str) -> list[str]:
        return list(dict.fromkeys(line for line in stderr.splitlines() if line.startswith("caption:")))

    monkeypatch.setattr("rsmoe_cli.console._PROGRESS_SECONDS", 0.0)
    ships(tmp_path / "a.tif")
    one = rsmoe("caption", "a.tif", "-o", "a.gpkg", "--tile-size", "64").stderr
    assert lines(one) == ["caption: 4 of 4 tiles (100%)"]
    several = rsmoe("caption", *small_scenes(tmp_path, 2), "a.tif", "-o", "b.gpkg", "--tile-size", "32").stderr
    assert lines(several) == [
        "caption: 1 of 3 scenes (33%)",
        "caption: 2 of 3 scenes (67%)",
        *(f"caption: 2 of 3 scenes (67%), scene 3: {tiles} of 12 tiles" for tiles in (2, 6, 10)),
        "caption: 3 of 3 scenes (100%)",
    ]


@pytest.mark.parametrize("name", ["out.gpkg", "out.geojson"])
def test_scenes_of_which_none_has_a_crs_share_a_file_in_pixels(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, name: str
) -> None:
    Path("b.tif").write_text("no raster")
    for scene in ("a.tif", "c.tif", "d.tif"):
        ships(tmp_path / scene, crs=None, transform=None)
    order = ("a.tif", "b.tif", "c.tif", "d.tif")
    result = rsmoe("ask", *order, COUNT, "-o", name)
    assert result.exit_code == 3, "b.tif is no raster"
    layer = gpd.read_file(name, layer="answers" if name.endswith("gpkg") else None)
    assert sorted(layer["scene"].unique()) == ["a.tif", "c.tif", "d.tif"]
    bounds = layer.total_bounds
    assert bounds.min() >= 0, "pixels, y down"
    assert bounds.max() > 1
    ships(tmp_path / "b.tif")
    retried = rsmoe("ask", *order, COUNT, "-o", name, "--retry-failed")
    assert retried.exit_code == 3
    assert "left out: b.tif has a CRS and others have none" in retried.stderr


def test_the_first_scene_alone_without_a_crs_is_left_out(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    ships(tmp_path / "plain.tif", crs=None)
    ships(tmp_path / "a.tif")
    result = rsmoe("ask", "plain.tif", "a.tif", COUNT, "-o", "out.gpkg")
    assert result.exit_code == 3
    assert "left out: plain.tif has no CRS, so it cannot share a file with others" in result.stderr
    assert gpd.read_file("out.gpkg", layer="answers").crs == "EPSG:4326"
