"""What is recorded of a run, however it ends. The kills are real: SIGKILL ends the process that runs."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
from geopandas.testing import assert_geodataframe_equal
from typer.testing import Result

from rsmoe_cli import atomic
from rsmoe_cli.captioning.layer import DESCRIPTIONS
from rsmoe_cli.errors import OutputError
from rsmoe_cli.pipeline import session
from rsmoe_cli.pipeline.journal import Journal, open_journal
from rsmoe_cli.pipeline.records import SceneRecord, TileRecord, changes
from rsmoe_cli.pipeline.run import Outcome
from rsmoe_cli.tiles.grid import Grid
from rsmoe_core.types import Description
from tests.cli.fakes import FakeEngine
from tests.cli.formats.layers import metadata_of
from tests.cli.interruptions import interrupted_after, kill_at, killed, names
from tests.cli.rasters import noise, rgb, write_raster
from tests.cli.tiles.test_reader import damaged

Cli = Callable[..., Result]
COMMAND = ("caption", "a.tif", "-o", "out.gpkg", "--tile-size", "16")


@pytest.mark.parametrize(
    ("place", "name", "call", "after", "left"),
    [
        (Journal, "add_tiles", 1, False, 20),
        (Journal, "add_tiles", 1, True, 16),
        (Journal, "add_tiles", 3, True, 8),
        (Journal, "add_tiles", 4, False, 8),
        (Journal, "begin_output", 1, True, 0),
        (session, "clean_stale", 1, True, 0),
        (atomic, "_fsync", 1, True, 0),
        (os, "replace", 1, False, 0),
        (os, "replace", 1, True, 0),
        (Journal, "finish", 1, False, 0),
    ],
)
def test_a_killed_run_is_continued_and_ends_like_an_unbroken_one(
    rsmoe: Cli, engine: FakeEngine, tmp_path: Path, place: Any, name: str, call: int, after: bool, left: int
) -> None:
    rgb(tmp_path / "a.tif")
    unbroken = rsmoe("caption", "a.tif", "-o", "unbroken.gpkg", "--tile-size", "16")
    assert unbroken.exit_code == 0, unbroken.stderr
    engine.requests.clear()

    def run() -> None:
        kill_at(place, name, call, after)
        rsmoe(*COMMAND)

    assert killed(run) == -signal.SIGKILL
    again = rsmoe(*COMMAND)
    assert again.exit_code == 0, again.stderr
    assert len(engine.requests) == left, "what was recorded is not done again"
    assert ("of them in an earlier run" in again.stderr) == (left < 20)
    assert names(tmp_path) == ["a.tif", "out.gpkg", "unbroken.gpkg"]
    wanted = gpd.read_file("unbroken.gpkg", layer="captions")
    assert len(wanted) == 20
    assert_geodataframe_equal(gpd.read_file("out.gpkg", layer="captions"), wanted)
    assert metadata_of("out.gpkg") == metadata_of("unbroken.gpkg")


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_what_is_recorded(tmp_path: Path, signal_number: signal.Signals) -> None:
    rgb(tmp_path / "a.tif")
    code = (
        "import time, rsmoe_core\n"
        "from tests.cli.fakes import FakeEngine\n"
        "engine = FakeEngine()\n"
        "describe = engine.describe\n"
        "def slowly(requests):\n"
        "    print(len(engine.batches), flush=True)\n"
        "    time.sleep(60 if engine.batches else 0)\n"
        "    return describe(requests)\n"
        "engine.describe = slowly\n"
        "rsmoe_core.load = lambda name, **_: engine\n"
        "from rsmoe_cli import main\n"
        "main._PATIENCE = 60\n"
        "main.main()\n"
    )
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", code, *COMMAND],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["0\n", "1\n"]
        process.send_signal(signal_number)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == (
        "error: interrupted; tiles done: 4, recorded in out.gpkg.journal; run the same command again to continue"
    )
    assert names(tmp_path) == ["a.tif", "out.gpkg.journal"]


def test_threads_that_hang_do_not_keep_an_interrupted_run_alive(tmp_path: Path) -> None:
    """A reader thread that hangs in the network must not keep an interrupted run alive."""
    code = (
        "import threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from rsmoe_cli import main\n"
        "main._PATIENCE = 0.2\n"
        "def hang():\n"
        "    with ThreadPoolExecutor(1) as pool:\n"
        "        pool.submit(time.sleep, 60)\n"
        "        print('hangs', flush=True)\n"
        "        time.sleep(60)\n"
        "main.app = hang\n"
        "main.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hangs\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "error: interrupted; finished work is kept\n"


def test_other_settings_or_another_scene_are_refused(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    well = interrupted_after(engine, 2)
    assert rsmoe(*COMMAND).exit_code == 130
    well()
    for more, message in [
        (("--tile-size", "20"), "--tile-size was '16' and is '20'"),
        (("--overlap", "2", "--prompts"), "--overlap was '0' and is '2'; --prompts was 'False' and is 'True'"),
        (("--dst-crs", "EPSG:4326"), "--dst-crs was not given and is 'EPSG:4326'"),
    ]:
        result = rsmoe(*COMMAND, *more)
        assert result.exit_code == 1
        assert message in result.stderr
        assert "use the settings that it was started with, or --overwrite to start again" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    engine.revision = "def456"
    assert "the model was 'fake abc123' and is 'fake def456'" in rsmoe(*COMMAND).stderr
    engine.revision = "abc123"
    os.utime("a.tif", (1e9, 1e9))
    result = rsmoe(*COMMAND)
    assert result.exit_code == 1
    assert "a.tif has changed since out.gpkg.journal was started: the state of its files was" in result.stderr
    assert not Path("out.gpkg").exists()
    before = len(engine.requests)
    anew = rsmoe(*COMMAND, "--overwrite")
    assert anew.exit_code == 0, anew.stderr
    assert len(engine.requests) == before + 20
    assert names(tmp_path) == ["a.tif", "out.gpkg"]


def test_an_overwriting_run_is_continued_too(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    assert rsmoe(*COMMAND).exit_code == 0
    for options, kept in ((("--overwrite",), 12), (("--overwrite", "--overlap", "1"), 0)):
        engine.batches.clear()
        well = interrupted_after(engine, 3)
        assert rsmoe(*COMMAND, "--overwrite").exit_code == 130
        well()
        engine.requests.clear()
        result = rsmoe(*COMMAND, *options)
        assert result.exit_code == 0, result.stderr
        assert len(engine.requests) == result_tiles(tmp_path) - kept


def result_tiles(folder: Path) -> int:
    return len(gpd.read_file(folder / "out.gpkg", layer="captions"))


def test_overwrite_starts_again_with_a_changed_scene(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    well = interrupted_after(engine, 2)
    assert rsmoe(*COMMAND, "--overwrite").exit_code == 130
    well()
    os.utime("a.tif", (1e9, 1e9))
    engine.requests.clear()
    assert rsmoe(*COMMAND, "--overwrite").exit_code == 0
    assert len(engine.requests) == 20


def test_a_file_that_appears_in_between_is_not_replaced(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    well = interrupted_after(engine, 2)
    assert rsmoe(*COMMAND).exit_code == 130
    well()
    Path("out.gpkg").write_text("mine")
    result = rsmoe(*COMMAND)
    assert result.exit_code == 1
    assert "out.gpkg exists already" in result.stderr
    assert Path("out.gpkg").read_text() == "mine"


def test_two_runs_do_not_share_an_output(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    with open_journal(Path("out.gpkg"), DESCRIPTIONS):
        # SQLite's locks are between processes.
        command = [sys.executable, "-m", "rsmoe_cli.main", *COMMAND]
        result = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 1
    assert result.stderr == "error: another run is using the output out.gpkg; wait for it, or choose another one\n"
    assert rsmoe(*COMMAND).exit_code == 0, "the lock is gone"


def test_failed_tiles_are_retried(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    values = noise(3, 64, 96)
    values[:, 32, 32] = values[:, 0, 64] = (1, 2, 3)
    write_raster(tmp_path / "a.tif", values, "red green blue", photometric="RGB")
    command = ("caption", "a.tif", "-o", "out.gpkg", "--tile-size", "32")
    nothing = rsmoe(*command, "--retry-failed")
    assert nothing.exit_code == 1
    assert "nothing to retry: out.gpkg has no journal" in nothing.stderr
    assert names(tmp_path) == ["a.tif"]
    engine.poison = (1, 2, 3)
    result = rsmoe(*command)
    assert result.exit_code == 3
    assert "out.gpkg.journal is kept for --retry-failed" in result.stderr
    assert names(tmp_path) == ["a.tif", "out.gpkg", "out.gpkg.journal"]
    failed = gpd.read_file("out.gpkg", layer="captions")
    assert failed["status"].tolist() == ["ok", "ok", "failed", "ok", "failed", "ok"]
    plain = rsmoe(*command)
    assert plain.exit_code == 1
    assert "exists already; --retry-failed retries what failed (2), --overwrite starts again" in plain.stderr
    assert rsmoe(*command, "--retry-failed").exit_code == 3, "they fail again"
    engine.poison = None
    engine.requests.clear()
    assert rsmoe(*command, "--retry-failed").exit_code == 0
    assert len(engine.requests) == 2
    assert names(tmp_path) == ["a.tif", "out.gpkg"]
    whole = gpd.read_file("out.gpkg", layer="captions")
    assert whole["status"].tolist() == ["ok"] * 6
    unchanged = [0, 1, 3, 5]
    assert_geodataframe_equal(*(rows.iloc[unchanged].drop(columns="error") for rows in (whole, failed)))
    engine.requests.clear()
    engine.poison = (1, 2, 3)
    assert rsmoe(*command, "--overwrite").exit_code == 3
    assert rsmoe(*command, "--overwrite").exit_code == 3
    assert rsmoe(*command, "--overwrite", "--retry-failed").exit_code == 2
    assert len(engine.requests) == 2 * 4, "started again, twice"


def test_a_continued_run_retries_nothing_unless_asked(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    damaged(tmp_path / "a.tif")
    command = ("caption", "a.tif", "-o", "out.gpkg", "--tile-size", "32", "--batch-size", "2")
    well = interrupted_after(engine, 2)
    assert rsmoe(*command).exit_code == 130
    well()
    rgb(tmp_path / "whole.tif", 64, 96, tiled=True, blockxsize=32, blockysize=32, compress="deflate")
    times = Path("a.tif").stat()
    engine.requests.clear()
    assert rsmoe(*command).exit_code == 3
    assert Path("a.tif").stat().st_size == times.st_size
    assert len(engine.requests) == 1
    engine.requests.clear()
    assert rsmoe(*command, "--retry-failed").exit_code == 3
    assert engine.requests == [], "the damaged tile was read again, in vain"


GRID = Grid(36, 4, 4)
"""Nine tiles in a row."""
DESCRIPTION = Description("a port", confidence=0.1)


def tile(number: int, error: str | None = None, blank: bool = False) -> TileRecord[Description]:
    outcomes = () if blank else (Outcome(error=error) if error else Outcome(DESCRIPTION),)
    return TileRecord(GRID.tile(0, number), outcomes, 10, 12, 4)


def test_a_journal_takes_a_batch_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    scene = SceneRecord("a.tif", "1 byte", None, {"tile_size": 4}, Grid(16, 4, 4))
    with open_journal(tmp_path / "out.gpkg", DESCRIPTIONS) as journal:
        journal.begin({"model": "fake"})
        assert journal.begin_scene(0, scene) == bytearray(4)
        journal.begin_scene(1, dataclasses.replace(scene, path="b.tif"))
        journal.add_tiles({0: [tile(0), tile(2, blank=True)]})
        with pytest.raises(OutputError, match="cannot write"):
            journal.add_tiles({1: [tile(0)], 0: [tile(1), tile(2)]})
    with open_journal(tmp_path / "out.gpkg", DESCRIPTIONS) as journal:
        journal.begin({"model": "fake"})
        assert journal.begin_scene(0, scene) == bytearray([1, 0, 1, 0])
        assert journal.count() == 2, "none of the other scene"
        assert not journal.is_complete(0, "1 byte")
        journal.add_tiles({0: [tile(3), tile(1, error="cannot be read")]})
        assert journal.is_complete(0, "1 byte")
        assert not journal.is_complete(0, "2 bytes")
        stats = journal.stats()
        assert (stats.answered, stats.failed, stats.skipped) == (2, 1, 1)
        assert stats.coverage == 20 / 30
        assert journal.scene(0) == scene
        assert [record.tile.id for record in journal.tiles(0)] == ["r0000c0000", "r0000c0001", "r0000c0003"]
        assert next(journal.tiles(0)).outcomes[0].value == DESCRIPTION


def test_every_commit_reaches_the_disk(tmp_path: Path) -> None:
    """A process that ends the next moment, without closing anything, has recorded what was added."""

    def run() -> None:
        journal = Journal(tmp_path / "out.gpkg", DESCRIPTIONS)
        journal.begin({})
        journal.begin_scene(0, SceneRecord("a.tif", "", None, {}, GRID))
        for number in range(5):
            journal.add_tiles({0: [tile(number)]})
        os.kill(os.getpid(), signal.SIGKILL)

    assert killed(run) == -signal.SIGKILL
    shutil.copytree(tmp_path, tmp_path / "copy")
    with sqlite3.connect(tmp_path / "copy" / "out.gpkg.journal") as base:
        assert base.execute("SELECT count(*) FROM tile").fetchone() == (5,)
    with open_journal(tmp_path / "out.gpkg", DESCRIPTIONS) as journal:
        assert journal.count() == 5
        assert journal._database.read("PRAGMA synchronous").fetchone() == (2,), "FULL"


def test_a_file_that_is_not_a_journal_is_left_alone(rsmoe: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    rgb(tmp_path / "a.tif")
    Path("out.gpkg.journal").write_text("a diary" * 1000)
    result = rsmoe(*COMMAND)
    assert result.exit_code == 1
    assert "out.gpkg.journal is not a journal of rsmoe; remove it" in result.stderr
    Path("out.gpkg.journal").unlink()
    with sqlite3.connect("out.gpkg.journal") as base:
        base.executescript("CREATE TABLE tile (a); PRAGMA user_version = 99")
    base.close()
    assert "was written by another version of rsmoe; finish with that version, or remove it" in rsmoe(*COMMAND).stderr


def test_changes_are_listed_by_name_and_briefly() -> None:
    assert changes({"a": 1, "b": [1, 2]}, {"a": 1, "b": (1, 2)}) == ""
    assert changes({"a": 1}, {"b": None}) == "a was '1' and is not given"
    long = changes({"the list of scenes": [f"scene{n}.tif" for n in range(100)]}, {})
    assert len(long) < 150
