"""Outputs in a GeoPackage that other programs use as well: processes that are killed, or open connections."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import geopandas as gpd
import pytest
from geopandas.testing import assert_geodataframe_equal
from shapely.geometry import LineString
from typer.testing import Result

from rsmoe_cli.formats import shared_geopackage
from tests.cli.fakes import FakeEngine
from tests.cli.formats.layers import metadata_of
from tests.cli.full_disk import limited
from tests.cli.interruptions import kill_at, killed, names
from tests.cli.rasters import sea, write_raster

Cli = Callable[..., Result]
CAPTION = ("caption", "a.tif", "-o", "project.gpkg", "--tile-size", "32")
ASK = ("ask", "a.tif", "How many ships?", "-o", "project.gpkg", "--tile-size", "32", "--overlap", "0")
ROADS = gpd.GeoDataFrame(
    {"name": ["A 6", "N 7"]}, geometry=[LineString([(0, 0), (1, 1)]), LineString([(0, 1), (1, 0)])], crs=4326
)


def scene(folder: Path, ships: Sequence[tuple[int, int]] = ()) -> None:
    write_raster(folder / "a.tif", sea(ships, 64, 96), "red green blue", photometric="RGB")


@pytest.fixture
def project(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> Path:
    """A map of six tiles in a file of its own."""
    scene(tmp_path)
    assert rsmoe(*CAPTION).exit_code == 0
    return tmp_path / "project.gpkg"


def add_roads(path: Path) -> None:
    """A layer, a table and a view of another program."""
    ROADS.to_file(path, layer="roads", driver="GPKG")
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE layer_styles (style TEXT); INSERT INTO layer_styles VALUES ('red');"
            "CREATE VIEW ok AS SELECT * FROM captions WHERE status = 'ok';"
        )
    database.close()


def check(path: Path, *layers: str, captions: int = 6) -> None:
    """The file is sound, has these layers of ours, and everything of the other program if it had `roads`."""
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    contents = {name for (name,) in database.execute("SELECT table_name FROM gpkg_contents")}
    assert contents == set(layers)
    if "captions" in layers:
        for table in ("captions", "rtree_captions_geom"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (captions,)
    if "roads" in layers:
        assert database.execute("SELECT style FROM layer_styles").fetchall() == [("red",)]
        assert_geodataframe_equal(gpd.read_file(path, layer="roads"), ROADS)
    database.close()
    assert not [
        name for name in names(path.parent) if name.startswith(".") or name.endswith(("-wal", "-shm", "-journal"))
    ]


def other_program(path: Path, *statements: str) -> None:
    """Another program changes the file, and is killed before it closes it."""

    def run() -> None:
        database = sqlite3.connect(path, isolation_level=None)
        for statement in statements:
            database.execute(statement).fetchall()
        database.executemany("INSERT INTO notes VALUES (?)", [("x" * 900,)] * 300)
        os.kill(os.getpid(), signal.SIGKILL)

    assert killed(run) == -signal.SIGKILL


WAL = ("PRAGMA journal_mode = WAL", "CREATE TABLE notes (t)")
HOT = ("PRAGMA cache_size = 5", "PRAGMA cache_spill = 1", "BEGIN", "CREATE TABLE notes (t)")


@pytest.mark.parametrize(("statements", "kept"), [(WAL, 300), (HOT, None)])
def test_the_log_of_a_program_that_crashed_is_put_in_order(
    rsmoe: Cli, project: Path, statements: tuple[str, ...], kept: int | None
) -> None:
    other_program(project, *statements)
    assert len(names(project.parent)) > 2, "there is a log"
    result = rsmoe(*CAPTION[:-1], "16", "--overwrite")
    assert result.exit_code == 0, result.stderr
    check(project, "captions", captions=24)
    database = sqlite3.connect(project)
    notes = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'notes'").fetchone() != (0,)
    assert notes == (kept is not None), "what was committed is kept, what was not is undone"
    assert kept is None or database.execute("SELECT count(*) FROM notes").fetchone() == (kept,)
    database.close()


@pytest.mark.parametrize("statements", [WAL, HOT])
@pytest.mark.parametrize("begin", [CAPTION, ASK])
def test_the_log_of_a_file_that_was_removed_is_not_played_into_the_new_one(
    rsmoe: Cli, project: Path, statements: tuple[str, ...], begin: tuple[str, ...]
) -> None:
    other_program(project, *statements)
    project.unlink()
    result = rsmoe(*begin)
    assert result.exit_code == 0, result.stderr
    check(project, "captions" if begin is CAPTION else "answers")


def test_layers_of_other_programs_are_kept(rsmoe: Cli, engine: FakeEngine, project: Path) -> None:
    add_roads(project)
    assert rsmoe(*CAPTION).exit_code == 1, "without --overwrite nothing is replaced"
    for _ in range(2):
        result = rsmoe(*CAPTION[:-1], "16", "--overwrite")
        assert result.exit_code == 0, result.stderr
        check(project, "captions", "roads", captions=24)
    scene(project.parent, ships=[(40, 40)])
    result = rsmoe(*ASK, "--overwrite")
    assert result.exit_code == 0, result.stderr
    check(project, "answers", "detections", "captions", "roads", captions=24)
    scene(project.parent)
    assert rsmoe(*ASK, "--overwrite").exit_code == 0
    check(project, "answers", "captions", "roads", captions=24)  # no detections this time
    assert metadata_of(project, "captions")["tiles_captioned"] == 24, "each layer has its own metadata"
    assert metadata_of(project, "answers")["answers"][0]["answer"] == "0"


def test_a_file_of_another_program_alone_gets_our_layer(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    scene(tmp_path)
    ROADS.to_file("project.gpkg", layer="roads", driver="GPKG")
    with sqlite3.connect("project.gpkg") as database:
        database.execute("CREATE TABLE layer_styles AS SELECT 'red' AS style")
    database.close()
    assert rsmoe(*CAPTION, "--overwrite").exit_code == 0
    check(tmp_path / "project.gpkg", "captions", "roads")


def test_layers_that_came_before_a_retry_are_kept(rsmoe: Cli, engine: FakeEngine, project: Path) -> None:
    engine.poison_word = "ships"
    assert rsmoe(*ASK, "--overwrite").exit_code == 3
    add_roads(project)
    engine.poison_word = None
    result = rsmoe(*ASK, "--retry-failed")
    assert result.exit_code == 0, result.stderr
    check(project, "answers", "captions", "roads")


@pytest.mark.parametrize("statement", ["PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "BEGIN"])
@pytest.mark.parametrize("command", [CAPTION, ASK])
def test_a_file_that_is_open_elsewhere_is_refused_in_one_line(
    rsmoe: Cli,
    engine: FakeEngine,
    project: Path,
    statement: str,
    command: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_geopackage, "_PATIENCE", 0.05)
    engine.requests.clear()
    other = sqlite3.connect(project, isolation_level=None)
    other.execute(statement)
    other.execute("SELECT * FROM captions").fetchone() if statement == "BEGIN" else None
    if "WAL" in statement:
        other.execute("CREATE TABLE notes (t)")
    result = rsmoe(*command, "--overwrite")
    assert (result.exit_code, result.stderr) == (
        1,
        "error: project.gpkg is open in another program; close it there, or choose another name\n",
    )
    assert not engine.requests
    assert "project.gpkg.journal" not in names(project.parent)
    assert len(other.execute("SELECT * FROM captions").fetchall()) == 6
    other.close()
    assert rsmoe(*command, "--overwrite").exit_code == 0


def test_a_file_that_is_opened_during_the_run_costs_no_tile(
    rsmoe: Cli, engine: FakeEngine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_geopackage, "_PATIENCE", 0.05)
    other: list[sqlite3.Connection] = []
    describe = engine.describe

    def meanwhile(requests: object) -> object:
        if not other:
            other.append(sqlite3.connect(project, isolation_level=None))
            other[0].execute("PRAGMA journal_mode = WAL")
            other[0].execute("SELECT * FROM captions").fetchall()
        return describe(requests)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "describe", meanwhile)
    result = rsmoe(*CAPTION, "--overwrite")
    assert result.exit_code == 1
    assert "project.gpkg is open in another program" in result.stderr
    assert "run the same command again to continue" in result.stderr
    other[0].close()
    engine.requests.clear()
    assert rsmoe(*CAPTION, "--overwrite").exit_code == 0
    assert not engine.requests
    check(project, "captions")


@pytest.mark.parametrize("call", [1, 2])
def test_a_run_that_is_killed_while_it_replaces_loses_nothing(rsmoe: Cli, project: Path, call: int) -> None:
    add_roads(project)

    def run() -> None:
        shared_geopackage._PAGES = 20
        kill_at(shared_geopackage, "_stop_if_busy", call)
        rsmoe(*CAPTION, "--overwrite")

    assert killed(run) == -signal.SIGKILL
    assert "project.gpkg-journal" in names(project.parent)
    result = rsmoe(*CAPTION, "--overwrite")
    assert result.exit_code == 0, result.stderr
    assert "of them in an earlier run" in result.stderr
    check(project, "captions", "roads")


def test_a_full_disk_leaves_the_old_layers(rsmoe: Cli, engine: FakeEngine, project: Path) -> None:
    add_roads(project)
    size = project.stat().st_size
    with limited(size // 2):
        result = rsmoe(*CAPTION[:-1], "16", "--overwrite")
    assert result.exit_code == 1
    assert "is the disk full?" in result.stderr or "free some space" in result.stderr
    project.with_name("project.gpkg.journal").unlink(missing_ok=True)
    check(project, "captions", "roads")


def test_what_is_not_ours_is_refused(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    scene(tmp_path)
    ROADS.to_file("project.gpkg", layer="Captions", driver="GPKG")
    result = rsmoe(*CAPTION, "--overwrite")
    assert (result.exit_code, result.stderr) == (
        1,
        "error: project.gpkg has a layer 'Captions' that is not from rsmoe; choose another name\n",
    )
    assert rsmoe(*ASK, "--overwrite").exit_code == 0, "that has layers with other names"
    assert_geodataframe_equal(gpd.read_file("project.gpkg", layer="Captions"), ROADS)
    Path("project.gpkg").unlink()
    database = sqlite3.connect("project.gpkg")
    database.execute("CREATE TABLE mine (a)")
    database.close()
    before = Path("project.gpkg").read_bytes()
    assert "project.gpkg is a database, but no GeoPackage; choose another name" in rsmoe(*CAPTION, "--overwrite").stderr
    assert Path("project.gpkg").read_bytes() == before


def test_a_damaged_file_is_refused(rsmoe: Cli, project: Path) -> None:
    with project.open("r+b") as file:
        file.truncate(40_000)
    result = rsmoe(*CAPTION, "--overwrite")
    assert result.exit_code == 1
    assert "project.gpkg is damaged (" in result.stderr
    assert "move it away, or choose another name" in result.stderr
    assert project.stat().st_size == 40_000
