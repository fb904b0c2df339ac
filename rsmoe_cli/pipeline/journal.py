"""What became of every tile of a run, kept beside the output until that is whole: a run that is killed loses nothing.

with open_journal(output) as journal:
    journal.begin(settings)
    done = journal.begin_scene(0, scene);  journal.keep(0, tiles);  journal.keep(0, tiles);  ...
    journal.finishing();  journal.rows(), journal.tally() ──▶ output;  journal.finish()

What a journal keeps of scenes and tiles, and how it is told that something is not as it was.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import shapely

from rsmoe_cli.errors import OutputError
from rsmoe_cli.formats.base import Row
from rsmoe_cli.pipeline.database import Database
from rsmoe_cli.pipeline.stats import TileStats

_LAYOUT = 1
"""Number of the tables below; to be raised with every change."""
_TABLES = """
CREATE TABLE run (state TEXT, settings TEXT);
CREATE TABLE scene (number INTEGER PRIMARY KEY, path TEXT, file_signature TEXT, crs TEXT, facts TEXT, tiles INTEGER, error TEXT);
CREATE TABLE tile (scene INTEGER, number INTEGER, status TEXT, pixels INTEGER, columns TEXT, ground BLOB,
                   PRIMARY KEY (scene, number)) WITHOUT ROWID;
"""
# The state of a run says what its output may be: `new`, not there yet; `replacing`, there or not; `finished`, there,
# but something in it has failed.
_CHOICE = "use what it was begun with, or --overwrite to start anew"


def journal_path(output: Path) -> Path:
    """Where the journal of an output lies."""
    return output.with_name(f"{output.name}.journal")


@contextmanager
def open_journal(output: Path) -> Iterator[Journal]:
    """The journal of an output, for this run alone. An interrupted run says what is kept; where nothing is, it goes.

    Raises:
        OutputError: another run has it, or it cannot be read or written.
    """
    journal = Journal(output)
    try:
        yield journal
    except KeyboardInterrupt:
        kept = journal.count()
        where = f"tiles kept: {kept}, in {journal_path(output)}, and the same command goes on from there"
        raise KeyboardInterrupt(f"interrupted; {where if kept else 'no tile was finished yet'}") from None
    finally:
        journal.close()


class Journal:
    """The journal of one output; for one thread. Whatever writes returns when it is safe on the disk."""

    def __init__(self, output: Path) -> None:
        self._output, self._overwrites, self._open = output, False, True
        self._base = Database(journal_path(output), f"output {output}", _TABLES, _LAYOUT)

    def begin(self, settings: Mapping[str, object], overwrite: bool = False, retry_failed: bool = False) -> None:
        """Starts the run, or goes on with the kept one, which must have the same settings.

        `overwrite` starts anew, unless the kept run was started with it too: then it is the same command once more.

        Raises:
            OutputError: the output exists, or the kept run has other settings.
        """
        self._overwrites = overwrite
        state, text = self._base.read("SELECT state, settings FROM run").fetchone() or (None, "{}")
        changed = changes(json.loads(text), settings)
        if state is None or (overwrite and (changed or state != "replacing")):
            if retry_failed:
                raise OutputError(
                    f"there is nothing to retry: {self._output} has no journal beside it; leave --retry-failed out"
                )
            if self._output.exists() and not overwrite:
                raise OutputError(f"{self._output} exists already; choose another name or add --overwrite")
            self._start("replacing" if overwrite else "new", settings)
            return
        if changed:
            raise OutputError(f"{self._base.path} holds a run that was begun otherwise: {changed}; {_CHOICE}")
        if retry_failed:
            with self._base.writing() as base:
                base.execute("DELETE FROM tile WHERE status = 'failed'")
                base.execute("UPDATE run SET state = 'replacing'")
        elif self._output.exists() and state != "replacing":
            raise OutputError(f"{self._output} exists already; {self._failed()} --overwrite starts anew")

    def begin_scene(self, number: int, scene: SceneRecord) -> bytearray:
        """Notes a scene, or recognises it; gives for each tile of its grid whether it is kept already.

        Raises:
            OutputError: the scene is not what it was.
        """
        old = self._scene(number)
        if old is not None and (changed := changes(old.identity, scene.identity)):
            self._refuse_change(scene.path, changed)
            old = None
        if old is None:
            with self._base.writing() as base:
                base.execute("DELETE FROM tile WHERE scene = ?", [number])
                base.execute(
                    "REPLACE INTO scene VALUES (?, ?, ?, ?, ?, ?, NULL)",
                    [number, scene.path, scene.file_signature, scene.crs, json.dumps(dict(scene.facts)), scene.tiles],
                )
        done = bytearray(scene.tiles)
        for (tile,) in self._base.read("SELECT number FROM tile WHERE scene = ?", number):
            done[tile] = True
        return done

    def lose_scene(self, number: int, path: str, error: str) -> None:
        """Notes that a scene could not be opened, and why; the next run tries again.

        Raises:
            OutputError: it could be opened before.
        """
        if self._scene(number) is not None:
            self._refuse_change(path, error)
        with self._base.writing() as base:
            base.execute("DELETE FROM tile WHERE scene = ?", [number])
            base.execute("REPLACE INTO scene (number, path, error) VALUES (?, ?, ?)", [number, path, error])

    def has_all_of(self, number: int, file_signature: str) -> bool:
        """Whether all tiles of a scene are kept, and it still looks the same from outside."""
        scene = self._scene(number)
        return scene is not None and scene.file_signature == file_signature and self.count(number) == scene.tiles

    def keep(self, scene: int, tiles: Sequence[TileRecord]) -> None:
        """Keeps what became of some tiles of a scene: of all of them or, if that fails, of none."""
        with self._base.writing() as base:
            base.executemany("INSERT INTO tile VALUES (?, ?, ?, ?, ?, ?)", (_line(scene, tile) for tile in tiles))

    def count(self, scene: int | None = None) -> int:
        """Tiles that are kept, of one scene or of all."""
        [[tiles]] = self._base.read("SELECT count(*) FROM tile WHERE ?1 IS NULL OR scene = ?1", scene)
        return int(tiles)

    def tally(self, scene: int | None = None) -> TileStats:
        """What became of the tiles, of one scene or of all."""
        tally = TileStats()
        for status, tiles, pixels, unplaced in self._base.read(
            "SELECT status, count(*), sum(pixels), sum(ground IS NULL) FROM tile "
            "WHERE ?1 IS NULL OR scene = ?1 GROUP BY status",
            scene,
        ):
            tally.add(status, tiles, pixels, unplaced)
        return tally

    def scenes(self) -> Iterator[tuple[int, SceneRecord]]:
        """The scenes that could be opened, with their numbers."""
        for (number,) in self._base.read("SELECT number FROM scene WHERE error IS NULL ORDER BY number").fetchall():
            if (scene := self._scene(number)) is not None:
                yield number, scene

    def lost_scenes(self) -> dict[str, str]:
        """The scenes that could not be opened, and why."""
        return dict(self._base.read("SELECT path, error FROM scene WHERE error IS NOT NULL ORDER BY number").fetchall())

    def rows(self) -> Iterator[tuple[int, Row]]:
        """The number of the scene and the row of every tile that has one, by scenes and in the order of the grid."""
        for scene, columns, ground in self._base.read(
            "SELECT scene, columns, ground FROM tile WHERE columns IS NOT NULL ORDER BY scene, number"
        ):
            values = json.loads(columns)
            yield scene, Row(values["tile_id"], values, None if ground is None else shapely.from_wkb(ground))

    def finishing(self) -> None:
        """From here on, an output that exists is the one that is made of this journal."""
        with self._base.writing() as base:
            base.execute("UPDATE run SET state = 'replacing'")

    def finish(self) -> None:
        """The output is there; the journal goes, unless it is needed for another try at what failed."""
        if self._failed():
            with self._base.writing() as base:
                base.execute("UPDATE run SET state = 'finished'")
        else:
            self._open = False
            self._base.remove()

    def close(self) -> None:
        """Gives the journal free; one that holds no tile goes."""
        if self._open and not self.count():
            self._base.remove()
        self._open = False
        self._base.close()

    def _start(self, state: str, settings: Mapping[str, object]) -> None:
        with self._base.writing() as base:
            for table in ("run", "scene", "tile"):
                base.execute(f"DELETE FROM {table}")
            base.execute("INSERT INTO run VALUES (?, ?)", [state, json.dumps(dict(settings))])

    def _scene(self, number: int) -> SceneRecord | None:
        line = self._base.read(
            "SELECT path, file_signature, crs, facts, tiles FROM scene WHERE number = ? AND error IS NULL", number
        ).fetchone()
        return SceneRecord(line[0], line[1], line[2], json.loads(line[3]), line[4]) if line else None

    def _failed(self) -> str:
        """How to try again what failed, if something did."""
        failed = self.tally().failed + len(self.lost_scenes())
        return f"--retry-failed tries again what failed in it ({failed})," if failed else ""

    def _refuse_change(self, path: str, changed: str) -> None:
        if not self._overwrites:
            raise OutputError(f"{path} has changed since {self._base.path} was begun: {changed}; {_CHOICE}")


def _line(scene: int, tile: TileRecord) -> tuple[object, ...]:
    if tile.row is None:
        return scene, tile.number, "blank", tile.pixels, None, None
    columns, ground = tile.row.values, tile.row.geometry
    text = json.dumps(dict(columns), ensure_ascii=False)
    wkb = None if ground is None else shapely.to_wkb(ground)
    return scene, tile.number, columns["status"], tile.pixels, text, wkb


_SHOWN = 80
"""Characters of a value that is quoted."""


@dataclass(frozen=True)
class SceneRecord:
    """A scene, and what was decided about it."""

    path: str
    """The scene as named by the user."""
    file_signature: str
    """What its files look like from outside; see `scenes.file_signature`."""
    crs: str | None
    """Its own reference system, as WKT."""
    facts: Mapping[str, object]
    """What the metadata of the output say of it."""
    tiles: int
    """Tiles of its grid."""

    @property
    def identity(self) -> dict[str, object]:
        """What it is recognised by."""
        return {"the state of its files": self.file_signature, **self.facts}


@dataclass(frozen=True)
class TileRecord:
    """What became of one tile."""

    number: int
    """Its place in the order of the grid, from 0."""
    pixels: int
    """Valid scene pixels in the area that it owns."""
    row: Row | None
    """Its row in the output; a blank tile has none."""


def changes(old: Mapping[str, object], new: Mapping[str, object]) -> str:
    """What differs, and how it was and is, on one line; empty if nothing does. `old` has been JSON, `new` may be."""
    is_now = json.loads(json.dumps(dict(new)))
    return "; ".join(
        f"{name} was {_shown(old.get(name))} and is {_shown(is_now.get(name))}"
        for name in dict.fromkeys((*old, *is_now))
        if old.get(name) != is_now.get(name)
    )


def _shown(value: object) -> str:
    if value is None:
        return "not given"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{textwrap.shorten(text, _SHOWN, placeholder=' ...')}'"
