"""The outcomes of a run, recorded batch by batch beside the output until it is complete: a killed run loses nothing.

    with open_journal(output, codec) as journal:
        journal.begin(settings)
        done = journal.begin_scene(0, scene);  journal.add_tiles({0: tiles});  ...
        journal.begin_output();  journal.tiles(), journal.stats() ──▶ output;  journal.finish()

A run without an output uses the same journal in memory, where nothing outlives it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic

import shapely

from rsmoe_cli.atomic import short_name
from rsmoe_cli.errors import OutputError
from rsmoe_cli.pipeline.database import Database
from rsmoe_cli.pipeline.records import Codec, SceneRecord, TileRecord, changes
from rsmoe_cli.pipeline.run import Value
from rsmoe_cli.pipeline.stats import TileStats
from rsmoe_cli.tiles.grid import Grid

_LAYOUT = 3
"""Version of the tables below, and of the facts in them; to be raised with every change."""
_TABLES = """
CREATE TABLE run (state TEXT, settings TEXT);
CREATE TABLE scene (number INTEGER PRIMARY KEY, path TEXT, file_signature TEXT, crs TEXT, facts TEXT, grid TEXT,
                    tiles INTEGER, result TEXT, error TEXT);
CREATE TABLE tile (scene INTEGER, number INTEGER, status TEXT, outcomes TEXT, owned_valid_pixels INTEGER,
                   valid_pixels INTEGER, side INTEGER, footprint BLOB, PRIMARY KEY (scene, number)) WITHOUT ROWID;
"""
# The state of a run says whether its output may exist: `new`: not yet; `replacing`: it may or may not; `finished`: it
# does, but some of it failed.
_REMEDY = "use the settings that it was started with, or --overwrite to start again"


def journal_path(output: Path) -> Path:
    """Where the journal of an output is."""
    return output.with_name(f"{short_name(output.name)}.journal")


def has_journal(output: Path) -> bool:
    """Whether an output has a journal; no error for a path that no file can have."""
    return os.path.exists(journal_path(output))


@contextmanager
def open_journal(output: Path | None, codec: Codec[Value]) -> Iterator[Journal[Value]]:
    """The journal of an output, for this run alone; in memory without an output. It is removed if it has no tiles.

    Raises:
        OutputError: another run is using it, or it cannot be read or written.
        KeyboardInterrupt: the run was interrupted; the message says what was recorded.
    """
    journal = Journal(output, codec)
    try:
        yield journal
    except KeyboardInterrupt:
        if output is None:
            raise
        done = journal.count()
        where = f"tiles done: {done}, recorded in {journal_path(output)}; run the same command again to continue"
        raise KeyboardInterrupt(f"interrupted; {where if done else 'no tile was finished yet'}") from None
    finally:
        journal.close()


class Journal(Generic[Value]):
    """The journal of one output; for one thread. What a method has written is safe on the disk when it returns."""

    def __init__(self, output: Path | None, codec: Codec[Value]) -> None:
        self._output, self._codec, self._overwrites, self._is_open = output, codec, False, True
        path = None if output is None else journal_path(output)
        self._database = Database(path, f"output {output}", _TABLES, _LAYOUT)

    def begin(self, settings: Mapping[str, object], overwrite: bool = False, retry_failed: bool = False) -> None:
        """Start a run, or continue the recorded one, which must have the same settings.

        `overwrite` starts again, unless the recorded run was itself started with it: then it is the same command.

        Raises:
            OutputError: the output exists, or the recorded run has other settings.
        """
        self._overwrites = overwrite
        state, text = self._database.read("SELECT state, settings FROM run").fetchone() or (None, "{}")
        changed = changes(json.loads(text), settings)
        if state is None or (overwrite and (changed or state != "replacing")):
            if retry_failed:
                raise OutputError(f"nothing to retry: {self._output} has no journal; leave out --retry-failed")
            if self._output_exists() and not overwrite:
                raise OutputError(f"{self._output} exists already; choose another name or add --overwrite")
            self._start("replacing" if overwrite else "new", settings)
            return
        if changed:
            raise OutputError(f"{self._database.path} belongs to a run with other settings: {changed}; {_REMEDY}")
        if retry_failed:
            self._forget_failures()
        elif self._output_exists() and state != "replacing":
            raise OutputError(f"{self._output} exists already; {self._retry_hint()} --overwrite starts again")

    def begin_scene(self, number: int, scene: SceneRecord) -> bytearray:
        """Record a scene, or recognise it; says for each tile of its grid whether it is recorded already.

        Raises:
            OutputError: the scene has changed since it was recorded.
        """
        recorded = self.scene(number)
        if recorded is not None and (changed := changes(recorded.identity, scene.identity)):
            self._refuse_change(scene.path, changed)
            recorded = None
        if recorded is None:
            grid = None if scene.grid is None else dataclasses.astuple(scene.grid)
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM tile WHERE scene = ?", [number])
                connection.execute(
                    "REPLACE INTO scene VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
                    [
                        *(number, scene.path, scene.file_signature, scene.crs),
                        *(json.dumps(dict(scene.facts)), json.dumps(grid), scene.tiles),
                    ],
                )
        done = bytearray(scene.tiles)
        for (tile,) in self._database.read("SELECT number FROM tile WHERE scene = ?", number):
            done[tile] = True
        return done

    def fail_scene(self, number: int, path: str, error: str) -> None:
        """Record that a scene could not be opened, and why; the next run tries again.

        Raises:
            OutputError: it could be opened before.
        """
        if self.scene(number) is not None:
            self._refuse_change(path, error)
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM tile WHERE scene = ?", [number])
            connection.execute("REPLACE INTO scene (number, path, error) VALUES (?, ?, ?)", [number, path, error])

    def is_complete(self, number: int, file_signature: str) -> bool:
        """Whether all tiles of a scene are recorded, and its files have not changed since."""
        [[complete]] = self._database.read(
            "SELECT count(*) FROM scene WHERE number = ?1 AND error IS NULL AND file_signature = ?2 "
            "AND tiles = (SELECT count(*) FROM tile WHERE scene = ?1)",
            *(number, file_signature),
        )
        return bool(complete)

    def add_tiles(self, tiles: Mapping[int, Sequence[TileRecord[Value]]]) -> None:
        """Record tiles by the numbers of their scenes: all of them or, if that fails, none."""
        rows = [
            self._row(scene, grid, tile)
            for scene, grid in ((scene, self._grid(scene)) for scene in tiles)
            for tile in tiles[scene]
        ]
        with self._database.transaction() as connection:
            connection.executemany("INSERT INTO tile VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def finish_scene(self, number: int, result: object) -> None:
        """Record what came of a scene as a whole, as JSON."""
        text = json.dumps(result, ensure_ascii=False)
        with self._database.transaction() as connection:
            connection.execute("UPDATE scene SET result = ? WHERE number = ?", [text, number])

    def drop_outcomes(self, scene: int) -> None:
        """Forget the outcomes of a scene, except for what `stats` counts: a run without an output needs them once."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE tile SET outcomes = NULL WHERE scene = ?", [scene])

    def scene_result(self, number: int) -> Any:
        """What `finish_scene` recorded for a scene; None if nothing."""
        row = self._database.read("SELECT result FROM scene WHERE number = ?", number).fetchone()
        return json.loads(row[0]) if row and row[0] else None

    def scene(self, number: int) -> SceneRecord | None:
        """A scene; None if it is not recorded, or could not be opened."""
        row = self._database.read(
            "SELECT path, file_signature, crs, facts, grid FROM scene WHERE number = ? AND error IS NULL", number
        ).fetchone()
        if row is None:
            return None
        path, file_signature, crs = row[:3]
        facts, grid = map(json.loads, row[3:])
        return SceneRecord(path, file_signature, crs, facts, None if grid is None else Grid(*grid))

    def scenes(self) -> Iterator[tuple[int, SceneRecord]]:
        """The scenes that could be opened, with their numbers."""
        for (number,) in self._database.read("SELECT number FROM scene ORDER BY number").fetchall():
            if (scene := self.scene(number)) is not None:
                yield number, scene

    def failed_scenes(self) -> dict[str, str]:
        """The scenes that could not be opened, and why."""
        return dict(
            self._database.read("SELECT path, error FROM scene WHERE error IS NOT NULL ORDER BY number").fetchall()
        )

    def tiles(self, scene: int) -> Iterator[TileRecord[Value]]:
        """The tiles of a scene in the order of its grid, without the blank ones."""
        grid: Grid | None = None
        rows = self._database.read(
            "SELECT number, outcomes, owned_valid_pixels, valid_pixels, side, footprint FROM tile "
            "WHERE scene = ? AND outcomes IS NOT NULL ORDER BY number",
            scene,
        )
        for number, outcomes, owned, valid, side, footprint in rows:
            grid = grid or self._grid(scene)
            tile = grid.tile(*divmod(number, grid.cols))
            geometry = None if footprint is None else shapely.from_wkb(footprint)
            yield TileRecord(tile, self._codec.loads(outcomes), owned, valid, side, geometry)

    def has_multipolygons(self) -> bool:
        """Whether a footprint has several parts, because it is cut at the 180th meridian."""
        query = "SELECT 1 FROM tile WHERE substr(footprint, 2, 1) = x'06' LIMIT 1"  # the type in well-known binary
        return self._database.read(query).fetchone() is not None

    def count(self) -> int:
        """Number of tiles that are recorded."""
        [[tiles]] = self._database.read("SELECT count(*) FROM tile")
        return int(tiles)

    def stats(self, scene: int | None = None) -> TileStats:
        """What became of the tiles, of one scene or of all."""
        stats = TileStats()
        for row in self._database.read(
            "SELECT status, count(*), sum(owned_valid_pixels) FROM tile WHERE ?1 IS NULL OR scene = ?1 GROUP BY status",
            scene,
        ):
            stats.add(*row)
        return stats

    def begin_output(self) -> None:
        """From here on, an output that exists is the one that is made from this journal."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE run SET state = 'replacing'")

    def finish(self) -> None:
        """The output is complete: remove the journal, unless it is needed to retry what failed."""
        if self._retry_hint():
            with self._database.transaction() as connection:
                connection.execute("UPDATE run SET state = 'finished'")
        else:
            self._is_open = False
            self._database.remove()

    def close(self) -> None:
        """Release the journal; one without tiles is removed."""
        if self._is_open and not self.count():
            self._database.remove()
        self._is_open = False
        self._database.close()

    def _start(self, state: str, settings: Mapping[str, object]) -> None:
        with self._database.transaction() as connection:
            for table in ("run", "scene", "tile"):
                connection.execute(f"DELETE FROM {table}")
            connection.execute("INSERT INTO run VALUES (?, ?)", [state, json.dumps(dict(settings))])

    def _forget_failures(self) -> None:
        """Failed tiles are to be run again; with them, the results of their scenes no longer hold."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE scene SET result = NULL WHERE number IN (SELECT scene FROM tile WHERE status = 'failed')"
            )
            connection.execute("DELETE FROM tile WHERE status = 'failed'")
            connection.execute("UPDATE run SET state = 'replacing'")

    def _row(self, scene: int, grid: Grid, record: TileRecord[Value]) -> tuple[object, ...]:
        outcomes = self._codec.dumps(record.outcomes) if record.outcomes else None
        footprint = None if record.footprint is None else shapely.to_wkb(record.footprint, byte_order=1)
        return (
            *(scene, grid.number(record.tile), record.status, outcomes),
            *(record.owned_valid_pixels, record.valid_pixels, record.side, footprint),
        )

    def _grid(self, scene: int) -> Grid:
        record = self.scene(scene)
        assert record is not None, "only a recorded scene has tiles"
        assert record.grid is not None, "only a scene with a grid has tiles"
        return record.grid

    def _output_exists(self) -> bool:
        return self._output is not None and self._output.exists()

    def _retry_hint(self) -> str:
        """How to retry what failed; empty if nothing did."""
        failed = self.stats().failed + len(self.failed_scenes())
        return f"--retry-failed retries what failed ({failed})," if failed else ""

    def _refuse_change(self, path: str, changed: str) -> None:
        if not self._overwrites:
            raise OutputError(f"{path} has changed since {self._database.path} was started: {changed}; {_REMEDY}")
