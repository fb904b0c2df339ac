"""Runs of `rsmoe ask` that are killed, interrupted or fail in part: the same command continues them."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
from geopandas.testing import assert_geodataframe_equal
from typer.testing import Result

from rsmoe_cli import atomic
from rsmoe_cli.asking.layer import ANSWERS
from rsmoe_cli.pipeline import session
from rsmoe_cli.pipeline.journal import Journal
from rsmoe_cli.pipeline.run import Outcome, TileJob
from rsmoe_core.types import Answer, Detection
from tests.cli.fakes import FakeEngine
from tests.cli.formats.layers import metadata_of
from tests.cli.interruptions import interrupted_after, kill_at, killed, names
from tests.cli.rasters import sea, write_raster

Cli = Callable[..., Result]
QUESTIONS = ("How many ships are there?", "What kind of place is this?", "Why is it wet?", "Where are the ships?")
COMMAND = ("ask", "a.tif", "b.tif", "--questions", "questions.txt", "--tile-size", "32", "--overlap", "0")
SPOTS = [(10, 10), (31, 40), (64, 50)]


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Two scenes of 12 tiles, two of which can be poisoned, and questions about them."""
    values = sea(SPOTS)
    values[:, 0, 32] = values[:, 64, 96] = (1, 2, 3)
    for name in ("a.tif", "b.tif"):
        write_raster(tmp_path / name, values, "red green blue", photometric="RGB")
    (tmp_path / "questions.txt").write_text("\n".join(QUESTIONS))
    return tmp_path


def same_output(first: str, second: str) -> None:
    for layer in ("answers", "detections"):
        assert_geodataframe_equal(gpd.read_file(first, layer=layer), gpd.read_file(second, layer=layer))
    assert metadata_of(first, "answers") == metadata_of(second, "answers")


@pytest.mark.parametrize(
    ("place", "name", "call", "after", "left"),
    [
        (Journal, "begin_scene", 1, True, 24),
        (Journal, "add_tiles", 1, False, 24),
        (Journal, "add_tiles", 2, True, 16),
        (Journal, "add_tiles", 3, True, 12),
        (Journal, "finish_scene", 1, True, 12),
        (Journal, "add_tiles", 5, True, 4),
        (Journal, "finish_scene", 2, False, 0),
        (Journal, "begin_output", 1, True, 0),
        (session, "clean_stale", 1, True, 0),
        (atomic, "_fsync", 1, True, 0),
        (os, "replace", 1, True, 0),
        (Journal, "finish", 1, False, 0),
    ],
)
def test_a_killed_run_is_continued_and_ends_like_an_unbroken_one(
    rsmoe: Cli, engine: FakeEngine, scenes: Path, place: Any, name: str, call: int, after: bool, left: int
) -> None:
    unbroken = rsmoe(*COMMAND, "-o", "unbroken.gpkg")
    assert unbroken.exit_code == 0, unbroken.stderr
    engine.requests.clear()

    def run() -> None:
        kill_at(place, name, call, after)
        rsmoe(*COMMAND, "-o", "out.gpkg")

    assert killed(run) == -signal.SIGKILL
    again = rsmoe(*COMMAND, "-o", "out.gpkg")
    assert again.exit_code == 0, again.stderr
    assert len(engine.requests) == left, "what was recorded is not asked again"
    assert again.stdout == unbroken.stdout
    same_output("out.gpkg", "unbroken.gpkg")
    assert names(scenes) == ["a.tif", "b.tif", "out.gpkg", "questions.txt", "unbroken.gpkg"]


def test_an_interrupted_run_says_what_is_recorded_and_reads_no_finished_scene(
    rsmoe: Cli, engine: FakeEngine, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = rsmoe(*COMMAND, "-o", "unbroken.gpkg")
    engine.batches.clear()
    undo = interrupted_after(engine, 5, "answer")
    stopped = rsmoe(*COMMAND, "-o", "out.gpkg")
    undo()
    assert stopped.exit_code == 130
    assert stopped.stdout.startswith(f"a.tif: {QUESTIONS[0]}\n"), "answers are printed scene by scene"
    assert "b.tif: " not in stopped.stdout
    assert stopped.stderr.splitlines()[-1] == (
        "error: interrupted; tiles done: 20, recorded in out.gpkg.journal; run the same command again to continue"
    )
    read: list[str] = []
    read_tiles = TileJob.read
    monkeypatch.setattr(TileJob, "read", lambda job, *more: (read.append(job.scene.path), read_tiles(job, *more))[1])
    engine.requests.clear()
    again = rsmoe(*COMMAND, "-o", "out.gpkg")
    assert again.exit_code == 0, again.stderr
    assert (read, len(engine.requests)) == (["b.tif"], 4)
    assert again.stdout == unbroken.stdout
    same_output("out.gpkg", "unbroken.gpkg")


def test_failed_tiles_are_retried(rsmoe: Cli, engine: FakeEngine, scenes: Path) -> None:
    whole = rsmoe(*COMMAND, "-o", "whole.gpkg")
    engine.poison = (1, 2, 3)
    failed = rsmoe(*COMMAND, "-o", "out.gpkg")
    assert failed.exit_code == 3
    assert "failed tiles: 4; the answers are without them" in failed.stderr
    assert "out.gpkg.journal is kept for --retry-failed" in failed.stderr
    assert "failed tiles, not included: 2; r0000c0001 cannot be answered: poisoned image" in failed.stdout
    plain = rsmoe(*COMMAND, "-o", "out.gpkg")
    assert plain.exit_code == 1
    assert "exists already; --retry-failed retries what failed (4), --overwrite starts again" in plain.stderr
    assert rsmoe(*COMMAND, "-o", "out.gpkg", "--retry-failed").stdout == failed.stdout, "they fail again"
    engine.poison = None
    engine.requests.clear()
    retried = rsmoe(*COMMAND, "-o", "out.gpkg", "--retry-failed")
    assert retried.exit_code == 0, retried.stderr
    assert len(engine.requests) == 4
    assert retried.stdout == whole.stdout
    same_output("out.gpkg", "whole.gpkg")
    assert not Path("out.gpkg.journal").exists()


def test_other_settings_are_refused(rsmoe: Cli, engine: FakeEngine, scenes: Path) -> None:
    undo = interrupted_after(engine, 2, "answer")
    assert rsmoe(*COMMAND, "-o", "out.gpkg").exit_code == 130
    undo()
    command = (*COMMAND, "-o", "out.gpkg")
    for more, message in (
        (("--overlap", "4"), "--overlap was '0' and is '4'"),
        (("--dst-crs", "EPSG:3857"), "--dst-crs was not given and is 'EPSG:3857'"),
    ):
        result = rsmoe(*command, *more)
        assert result.exit_code == 1
        assert message in result.stderr
    Path("questions.txt").write_text("Is there a ship?")
    assert "the questions was 'How many ships are there?, What kind of place" in rsmoe(*command).stderr
    Path("questions.txt").write_text("\n".join(QUESTIONS))
    engine.revision = "def456"
    assert "the model was 'fake abc123' and is 'fake def456'" in rsmoe(*command).stderr
    engine.revision = "abc123"
    other = rsmoe("caption", "a.tif", "b.tif", "-o", "out.gpkg", "--tile-size", "32")
    assert "the command was 'ask' and is 'caption'" in other.stderr
    os.utime("a.tif", (1e9, 1e9))
    assert "a.tif has changed since out.gpkg.journal was started" in rsmoe(*command).stderr
    anew = rsmoe(*command, "--overwrite")
    assert anew.exit_code == 0, anew.stderr
    assert not Path("out.gpkg.journal").exists()


def test_a_run_without_output_leaves_nothing_and_says_so(rsmoe: Cli, engine: FakeEngine, scenes: Path) -> None:
    before = names(scenes)
    undo = interrupted_after(engine, 5, "answer")
    stopped = rsmoe(*COMMAND)
    undo()
    assert stopped.exit_code == 130
    assert stopped.stderr.splitlines()[-1] == "error: interrupted"
    assert names(scenes) == before
    engine.requests.clear()
    assert rsmoe(*COMMAND).exit_code == 0
    assert len(engine.requests) == 24
    assert names(scenes) == before


def test_a_run_without_output_holds_the_outcomes_of_one_scene(
    rsmoe: Cli, engine: FakeEngine, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    drop = Journal.drop_outcomes

    def counting(journal: Journal[Answer], scene: int) -> None:
        drop(journal, scene)
        [[count]] = journal._database.read("SELECT count(outcomes) FROM tile")
        held.append(count)

    monkeypatch.setattr(Journal, "drop_outcomes", counting)
    assert rsmoe(*COMMAND).exit_code == 0
    assert held == [0, 0]


def test_answers_come_back_from_the_journal_unchanged() -> None:
    detection = Detection("ship", 0.1, 1 / 3, 0.97, 4.5, 0.2)
    outcomes = (
        Outcome(Answer("1", 0.1 + 0.2, "1 ship found", {"ship": 1.0}, (detection,), {"objects": "how many?"})),
        Outcome(Answer("unknown", None)),
        Outcome[Answer](error="cannot be answered: it's dark"),
    )
    assert ANSWERS.loads(ANSWERS.dumps(outcomes)) == outcomes


def test_the_journal_is_safe_on_the_disk_after_each_batch(rsmoe: Cli, engine: FakeEngine, scenes: Path) -> None:
    def run() -> None:
        kill_at(Journal, "add_tiles", 2)
        rsmoe(*COMMAND, "-o", "out.gpkg")

    assert killed(run) == -signal.SIGKILL
    with sqlite3.connect("out.gpkg.journal") as database:
        rows = database.execute("SELECT status, side, valid_pixels FROM tile").fetchall()
    assert rows == [("ok", 32, 1024)] * 8
