from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
from typer.testing import Result

from rsmoe_core.errors import UsageError
from rsmoe_core.types import Description, Request
from tests.cli.fakes import FakeEngine, replace_load
from tests.cli.formats.layers import metadata_of
from tests.cli.full_disk import limited
from tests.cli.interruptions import interrupted_after
from tests.cli.rasters import CUSTOM_CRS, SITE_CRS, noise, rgb, write_raster
from tests.cli.tiles.test_reader import damaged

Cli = Callable[..., Result]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_scene_becomes_a_layer(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert "6 of 6 tiles captioned, 0 blank, 0 failed; 100.0% of the valid pixels captioned" in result.stderr
    assert len(gpd.read_file("out.gpkg", layer="captions")) == 6
    assert names(tmp_path) == ["a.tif", "out.gpkg"]


def test_json_is_the_only_thing_on_stdout_and_quiet_is_quiet(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", noise(4, 40, 40, "uint16"), crs=None)
    result = rsmoe("caption", "a.tif", "-o", "out.geojson", "--json", "-q")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    summary = json.loads(result.stdout)
    assert summary["tiles"] == summary["captioned"] == 1, "a tile that fits, not one of 32 pixels and three strips"
    assert summary["coverage"] == 1
    assert [warning[:24] for warning in summary["warnings"]] == ["no band names its colour", "no coordinate reference "]
    loud = rsmoe("caption", "a.tif", "-o", "out.geojson", "--overwrite", "--tile-size", "32")
    assert "4 of 4 tiles captioned" in loud.stderr
    assert "warning: no band names its colour" in loud.stderr
    assert "\nbands " not in loud.stderr, "the warning says which"
    assert "warning: no coordinate reference system" in loud.stderr


def test_options_reach_the_scene(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif", 100, 100)
    options = "--bands 3,2,1 --tile-size 400m --overlap 8 --stretch 1,99 --batch-size 3 --dst-crs EPSG:4326 --prompts"
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg", *options.split())
    assert result.exit_code == 0, result.stderr
    rows, metadata = gpd.read_file("out.gpkg"), metadata_of("out.gpkg")
    assert len(rows) == 9
    assert rows.crs.to_epsg() == 4326
    assert "prompt_theme" in rows
    assert max(engine.batches) == 3
    assert metadata["bands"] == "3 (blue), 2 (green), 1 (red)"
    assert metadata["tile_size"] == 40
    assert metadata["overlap"] == 8
    assert metadata["stretch"].startswith("1-99 %")


def test_custom_projection_survives_into_the_geopackage(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif", crs=CUSTOM_CRS)
    assert rsmoe("caption", "a.tif", "-o", "out.gpkg").exit_code == 0
    assert rsmoe("caption", "a.tif", "-o", "out.geojson").exit_code == 0
    own, world = gpd.read_file("out.gpkg", layer="captions"), gpd.read_file("out.geojson")
    assert own.crs.name == "Town grid"
    assert world.crs.to_epsg() == 4326
    back = world.to_crs(own.crs)
    assert back.geometry.distance(own.geometry).max() == 0
    assert (back.symmetric_difference(own.geometry).area / own.area).max() < 1e-4


def test_a_local_system_is_kept_as_it_is(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif", crs=SITE_CRS)
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg")
    assert result.exit_code == 0, result.stderr
    assert gpd.read_file("out.gpkg", layer="captions").crs.name == "site"


def test_a_damaged_block_is_exit_code_three(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged(tmp_path / "a.tif")
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg", "--tile-size", "32")
    assert result.exit_code == 3
    assert "failed tiles: 1" in result.stderr
    rows = gpd.read_file("out.gpkg", layer="captions").set_index("tile_id")
    assert rows["status"].value_counts().to_dict() == {"ok": 5, "failed": 1}
    assert rows.loc["r0001c0001", "error"].startswith("cannot be read")
    assert capfd.readouterr().err == ""


def test_interrupted_leaves_nothing(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    engine.describe = interrupt  # type: ignore[method-assign]
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "error: interrupted; no tile was finished yet"
    assert names(tmp_path) == ["a.tif"]


def bad_inputs(folder: Path) -> None:
    rgb(folder / "good.tif")
    (folder / "text.tif").write_text("this is no raster\n")
    cut = Path(rgb(folder / "cut.tif", 300, 300))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    write_raster(folder / "complex.tif", np.ones((1, 20, 20), "complex64"))
    (folder / "old.gpkg").write_text("old")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("none.tif -o out.gpkg", 1, "there is no file none.tif"),
        ("text.tif -o out.gpkg", 1, "cannot read text.tif"),
        ("cut.tif -o out.gpkg", 1, "cut.tif is cut short"),
        ("complex.tif -o out.gpkg", 1, "complex.tif has no usable band"),
        ("good.tif -o out.gpkg --bands 9,2,1", 2, "there is no band 9 to display; choose from 1 (red)"),
        ("good.tif -o out.gpkg --bands red", 2, "bands 'red' are not understood"),
        ("good.tif -o out.shp", 2, "unknown output type '.shp'; choose .gpkg, .geojson, .fgb or .parquet"),
        ("good.tif -o old.gpkg", 1, "old.gpkg exists already"),
        ("good.tif -o none/out.gpkg", 1, "mkdir -p none"),
        ("good.tif -o out.gpkg --dst-crs EPSG:1", 2, "unknown CRS 'EPSG:1'"),
        ("good.tif -o out.gpkg --tile-size huge", 2, "tile size 'huge' is not understood"),
        ("good.tif -o out.gpkg --overlap 32", 2, "choose --overlap between 0 and 31"),
        ("good.tif -o out.gpkg --stretch loud", 2, "stretch 'loud' is not understood"),
        ("good.tif -o out.gpkg --model none", 2, "model 'none' is unknown"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    rsmoe: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: str,
    code: int,
    message: str,
) -> None:
    def load(name: str, **_: object) -> FakeEngine:
        if name == "none":
            raise UsageError("model 'none' is unknown; choose nano")
        return FakeEngine()

    replace_load(monkeypatch, load)
    bad_inputs(tmp_path)
    before = names(tmp_path)
    result = rsmoe("caption", *arguments.split())
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.splitlines() == [result.stderr.strip()]
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert names(tmp_path) == before
    assert (tmp_path / "old.gpkg").read_text() == "old"
    assert capfd.readouterr().err == "", "GDAL must not talk to the terminal"


def test_the_terminal_sees_one_line_for_a_truncated_file(tmp_path: Path) -> None:
    bad_inputs(tmp_path)
    command = [sys.executable, "-m", "rsmoe_cli.main", "caption", "cut.tif", "-o", "out.gpkg"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "cut short" in result.stderr


def test_pixels_that_are_not_numbers_are_invalid(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    values = noise(3, 64, 96).astype(np.float32)
    values[:, :32, :32], values[:, 32:, 64:], values[0, 5:9, 40] = np.nan, np.inf, -np.inf
    write_raster(tmp_path / "a.tif", values, "red green blue")
    result = rsmoe("caption", "a.tif", "-o", "out.gpkg", "--tile-size", "32")
    assert result.exit_code == 0, result.stderr
    assert "4 of 6 tiles captioned, 2 blank, 0 failed; 100.0% of the valid pixels captioned" in result.stderr
    fractions = gpd.read_file("out.gpkg", layer="captions").set_index("tile_id")["valid_fraction"]
    assert fractions["r0000c0001"] == pytest.approx(1 - 4 / 1024, abs=1e-4)


def two_scenes(folder: Path) -> None:
    """Two scenes in different reference systems, one beside the other."""
    folder.mkdir(exist_ok=True)
    rgb(folder / "a.tif", 64, 64)
    rgb(folder / "b.tif", 64, 32, crs="EPSG:32632")


@pytest.mark.parametrize("name", ["out.gpkg", "out.geojson", "out.fgb", "out.parquet"])
def test_several_scenes_share_one_file(rsmoe: Cli, engine: FakeEngine, tmp_path: Path, name: str) -> None:
    two_scenes(tmp_path / "scenes")
    result = rsmoe("caption", "scenes", "-o", name, "--tile-size", "32", "--json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert (summary["scene"], summary["tiles"], summary["captioned"]) == ("2 scenes", 6, 6)
    rows = gpd.read_parquet(name) if name == "out.parquet" else gpd.read_file(name, layer=0)
    rows = rows.sort_values(["scene", "tile_id"])
    assert rows.crs.to_epsg() == 4326
    assert rows["scene"].tolist() == ["a.tif"] * 4 + ["b.tif"] * 2
    assert rows["tile_id"].tolist() == [f"r000{r}c000{c}" for r in (0, 1) for c in (0, 1)] + [
        "r0000c0000",
        "r0001c0000",
    ]
    east = rows.geometry.bounds["minx"]
    assert 2.9 < east.iloc[:4].min() < east.iloc[:4].max() < 3.1 < 8.9 < east.iloc[4:].min()


def test_the_metadata_of_several_scenes_lists_them(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    two_scenes(tmp_path)
    assert rsmoe("caption", "*.tif", "-o", "out.geojson", "--tile-size", "32").exit_code == 0
    collection = json.loads(Path("out.geojson").read_text())
    metadata = collection["metadata"]
    assert [scene["source"] for scene in metadata["scenes"]] == ["a.tif", "b.tif"]
    assert [scene["tiles_captioned"] for scene in metadata["scenes"]] == [4, 2]
    assert (metadata["tiles_captioned"], metadata["coverage"], metadata["scenes_failed"]) == (6, 1, {})
    assert [feature["id"] for feature in collection["features"]][3:5] == ["1.r0001c0001", "2.r0000c0000"]


def test_scenes_go_into_the_system_that_is_asked_for(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    two_scenes(tmp_path)
    assert rsmoe("caption", "a.tif", "b.tif", "-o", "out.gpkg", "--dst-crs", "EPSG:3857").exit_code == 0
    assert gpd.read_file("out.gpkg", layer="captions").crs.to_epsg() == 3857


def test_scenes_that_cannot_be_opened_do_not_stop_the_others(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    bad_inputs(tmp_path)
    write_raster(tmp_path / "placeless.tif", noise(3, 40, 40), "red green blue", photometric="RGB", crs=None)
    command = ("caption", "none.tif", "cut.tif", "good.tif", "placeless.tif", "-o", "out.gpkg", "--tile-size", "32")
    result = rsmoe(*command)
    assert result.exit_code == 3
    for warning in ("there is no file none.tif", "cut.tif is cut short", "placeless.tif has no CRS"):
        assert f"warning: left out: {warning}" in result.stderr
    assert "6 of 6 tiles captioned" in result.stderr
    assert "scenes left out: 3" in result.stderr
    assert set(gpd.read_file("out.gpkg", layer="captions")["scene"]) == {"good.tif"}
    assert metadata_of("out.gpkg")["scenes_failed"]["none.tif"].startswith("there is no file")
    rgb(tmp_path / "none.tif")
    engine.requests.clear()
    assert rsmoe(*command, "--retry-failed").exit_code == 3
    assert len(engine.requests) == 6, "only the scene that is there now"
    assert gpd.read_file("out.gpkg", layer="captions")["scene"].unique().tolist() == ["none.tif", "good.tif"]


def test_scenes_that_are_left_out_for_one_reason_are_one_warning(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path
) -> None:
    rgb(tmp_path / "1.tif")
    scenes = [str(tmp_path / f"{number}.tif") for number in range(1, 5)]
    for path in scenes[1:]:
        Path(path).write_text("no raster")
    result = rsmoe("caption", *scenes, "-o", "out.gpkg")
    warnings = [line for line in result.stderr.splitlines() if "left out" in line]
    assert warnings[0].startswith(f"warning: left out: cannot read {scenes[1]}: it is not a raster")
    assert warnings[1:] == [
        "warning: scenes left out: 3; the metadata say why",
        f"warning: 2 more scenes left out, for the same reason as {scenes[1]}",
    ]
    failed = metadata_of("out.gpkg")["scenes_failed"]
    assert list(failed) == ["2.tif", "3.tif", "4.tif"]
    assert failed["3.tif"].startswith("cannot read 3.tif: it is not a raster"), "no paths of this machine"


def test_a_warning_of_several_scenes_is_once_in_the_summary(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    for name, profile in {"a": {}, "b": {"crs": None}, "c": {"crs": None}, "d": {"crs": None}}.items():
        write_raster(tmp_path / f"{name}.tif", noise(1, 40, 40), "gray", **profile)
    result = rsmoe("ask", "b.tif", "c.tif", "d.tif", "How many ships are there?", "--json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(rsmoe("caption", "b.tif", "c.tif", "d.tif", "-o", "out.gpkg", "--json").stdout)
    first, second = summary["warnings"]
    assert first.startswith("b.tif and 2 more: no coordinate reference system")
    assert second.startswith("b.tif and 2 more: a single band")
    one = json.loads(rsmoe("caption", "a.tif", "-o", "one.gpkg", "--json").stdout)
    assert [warning[:13] for warning in one["warnings"]] == ["a single band"]


def test_nothing_is_written_if_no_scene_can_be_opened(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    bad_inputs(tmp_path)
    before = names(tmp_path)
    result = rsmoe("caption", "none.tif", "text.tif", "-o", "out.gpkg")
    assert result.exit_code == 1
    assert "error: none of the 2 scenes can be opened" in result.stderr
    assert names(tmp_path) == before
    assert rsmoe("caption", "good.tif", "none.tif", "-o", "out.gpkg", "--bands", "9").exit_code == 2


def test_several_scenes_are_continued(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    two_scenes(tmp_path)
    rgb(tmp_path / "c.tif", 64, 64)
    command = ("caption", "a.tif", "b.tif", "c.tif", "-o", "out.gpkg", "--tile-size", "32", "--batch-size", "1")
    describe = engine.describe

    def interrupting(requests: Sequence[Request]) -> list[Description]:
        if len(engine.batches) == 5:
            raise KeyboardInterrupt
        return describe(requests)

    engine.describe = interrupting  # type: ignore[method-assign]
    assert rsmoe(*command).exit_code == 130
    engine.describe = describe  # type: ignore[method-assign]
    engine.requests.clear()
    other = rsmoe("caption", "a.tif", "c.tif", "-o", "out.gpkg", "--tile-size", "32")
    assert "the list of scenes was 'a.tif, b.tif, c.tif' and is 'a.tif, c.tif'" in other.stderr
    assert rsmoe(*command).exit_code == 0
    assert len(engine.requests) == 5
    rows = gpd.read_file("out.gpkg", layer="captions")
    assert rows["scene"].tolist() == ["a.tif"] * 4 + ["b.tif"] * 2 + ["c.tif"] * 4


def test_a_full_disk_loses_nothing_that_was_done(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif", 160, 160)
    command = ("caption", "a.tif", "-o", "out.gpkg", "--tile-size", "16")
    with limited(60_000):
        full = rsmoe(*command)
    assert full.exit_code == 1
    assert "\nerror: cannot write out.gpkg.journal: " in full.stderr
    assert "free some space, and run the same command to continue" in full.stderr
    assert not Path("out.gpkg").exists()
    done = len(engine.requests)
    assert 8 <= done < 100
    assert rsmoe(*command).exit_code == 0
    assert len(engine.requests) - done == 100 - (done - 4), (
        "everything was recorded but the batch for which there was no space"
    )
    assert names(tmp_path) == ["a.tif", "out.gpkg"]


def test_an_output_without_space_is_written_later(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    """The journal is smaller than the output, whose empty layers take some space."""
    rgb(tmp_path / "a.tif")
    command = ("caption", "a.tif", "-o", "out.gpkg")
    with limited(80_000):
        full = rsmoe(*command)
    assert full.exit_code == 1
    assert "error: cannot write out.gpkg: " in full.stderr
    assert names(tmp_path) == ["a.tif", "out.gpkg.journal"]
    engine.requests.clear()
    assert rsmoe(*command).exit_code == 0
    assert engine.requests == []
    assert names(tmp_path) == ["a.tif", "out.gpkg"]


def test_a_folder_that_is_removed_is_an_error(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    (tmp_path / "maps").mkdir()
    describe = engine.describe

    def moving(requests: Sequence[Request]) -> list[Description]:
        if engine.batches:
            Path("maps").rename("elsewhere")
        return describe(requests)

    engine.describe = moving  # type: ignore[method-assign]
    result = rsmoe("caption", "a.tif", "-o", "maps/out.gpkg", "--tile-size", "16")
    assert result.exit_code == 1
    error = "error: maps/out.gpkg.journal was removed while it was in use; start the command again"
    assert result.stderr.splitlines()[-1] == error
    engine.describe = describe  # type: ignore[method-assign]
    Path("elsewhere").rename("maps")
    engine.requests.clear()
    assert rsmoe("caption", "a.tif", "-o", "maps/out.gpkg", "--tile-size", "16").exit_code == 0
    assert len(engine.requests) == 16, "one batch was recorded"


def test_a_folder_that_cannot_be_written_is_an_error(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    folder = tmp_path / "maps"
    folder.mkdir()
    if os.geteuid() == 0:  # to whom every folder is open, but not every file system
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], capture_output=True, check=False
        )
        if mounted.returncode:
            pytest.skip("may not mount a file system that cannot be written")
    else:
        folder.chmod(0o555)
    try:
        result = rsmoe("caption", "a.tif", "-o", "maps/out.gpkg")
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", folder], check=True)
    assert result.exit_code == 1
    assert result.stderr == "error: the folder maps is not writable; choose another one\n"


def test_hundreds_of_scenes_need_no_more_files_than_one(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "scenes").mkdir()
    first = Path(rgb(tmp_path / "scenes" / "000.tif", 20, 20))
    for number in range(1, 200):
        (tmp_path / "scenes" / f"{number:03}.tif").symlink_to(first)
    open_files: list[int] = []
    describe = engine.describe

    def counting(requests: Sequence[Request]) -> list[Description]:
        open_files.append(len(os.listdir("/proc/self/fd")))
        return describe(requests)

    engine.describe = counting  # type: ignore[method-assign]
    result = rsmoe("caption", "scenes", "-o", "out.gpkg")
    assert result.exit_code == 0, result.stderr
    assert len(open_files) == 200 // engine.batch_size
    assert max(open_files[10:]) <= max(open_files[:10])
    assert len(gpd.read_file("out.gpkg", layer="captions")) == 200


def test_real_scenes_are_captioned_completely(rsmoe: Cli, engine: FakeEngine, shared: Path, tmp_path: Path) -> None:
    scenes = sorted((shared / "scenes").glob("*/*.tif"))
    assert scenes
    for scene in scenes:
        result = rsmoe("caption", scene, "-o", tmp_path / "out.geojson", "--overwrite", "--tile-size", 400, "--json")
        assert result.exit_code == 0, (scene, result.stderr)
        summary = json.loads(result.stdout)
        assert summary["coverage"] == 1
        assert summary["failed"] == 0
        with rasterio.open(scene) as dataset:
            assert summary["tiles"] == -(-dataset.width // 400) * -(-dataset.height // 400)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".fgb", ".parquet"])
@pytest.mark.parametrize("letter", ["n", "\N{WATER WAVE}"])
def test_long_names_are_written_or_refused_in_one_line(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, suffix: str, letter: str
) -> None:
    rgb(tmp_path / "a.tif")
    for length, code in [(234, 0), (243, 0), (244, 1), (255, 1), (300, 1)]:
        letters, rest = divmod(length - len(suffix), len(letter.encode()))
        name = letter * letters + "n" * rest + suffix
        for more in ([], ["--overwrite"]) if suffix == ".gpkg" else ([],):
            result = rsmoe("caption", "a.tif", "-o", name, "--tile-size", "32", *more)
            assert result.exit_code == code, result.stderr
        if code:
            assert result.stderr == (
                f"error: the name of the output is too long: {length} bytes; choose one of at most 243\n"
            )
    assert "there is no folder" in rsmoe("caption", "a.tif", "-o", f"{'n' * 300}/out{suffix}").stderr
    assert len(list(tmp_path.iterdir())) == 3, "two maps beside the scene"


def test_a_long_name_keeps_its_journal(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    name = "n" * 235 + ".fgb"
    well = interrupted_after(engine, 1)
    assert rsmoe("caption", "a.tif", "-o", name, "--tile-size", "16").exit_code == 130
    well()
    assert rsmoe("caption", "a.tif", "-o", f"{name[1:-4]}m.fgb", "--tile-size", "16").exit_code == 0
    result = rsmoe("caption", "a.tif", "-o", name, "--tile-size", "16")
    assert result.exit_code == 0
    assert "of them in an earlier run" in result.stderr


@pytest.mark.parametrize("name", ["out.gpkg", "out.geojson", "out.fgb", "out.parquet"])
def test_one_scene_and_several_have_the_same_schema(rsmoe: Cli, engine: FakeEngine, tmp_path: Path, name: str) -> None:
    (tmp_path / "b").mkdir()
    for path in ("a.tif", "b/a.tif", "c.tif"):
        rgb(tmp_path / path, crs="EPSG:32633" if path == "c.tif" else "EPSG:32631")
    tables = []
    for number, scenes in enumerate([("a.tif",), ("a.tif", "b/a.tif", "c.tif")]):
        out = f"{number}{name}"
        command = ("caption", *(tmp_path / scene for scene in scenes), "-o", out, "--tile-size", "32")
        in_degrees = () if name == "out.geojson" else ("--dst-crs", "EPSG:4326")
        result = rsmoe(*command, *in_degrees)
        assert result.exit_code == 0, result.stderr
        tables.append(gpd.read_parquet(out) if name.endswith("parquet") else gpd.read_file(out))
    one, several = tables
    assert list(one.columns) == list(several.columns)
    assert one.dtypes.astype(str).tolist() == several.dtypes.astype(str).tolist()
    assert one["scene"].unique().tolist() == ["a.tif"]
    assert len(set(several["scene"])) == 3
    assert not [scene for scene in several["scene"] if scene.startswith("/")]
    assert several["id"].is_unique
    assert several["tile_m"].between(319, 321).all()
    if name in ("out.gpkg", "out.fgb"):
        assert {pyogrio.read_info(f"{number}{name}")["geometry_type"] for number in (0, 1)} == {"Polygon"}
