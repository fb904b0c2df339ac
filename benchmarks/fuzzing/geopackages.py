"""GeoPackages of other programs as outputs: with their layers, tables and logs, open elsewhere, crashed or damaged.

    make ──▶ FOLDER/scene.tif, FOLDER/home/project.gpkg and its logs, state.json

After a run, everything of the other program is there, row for row, and our layer is new; or the run was refused in one
line, and everything is as before.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from benchmarks.fuzzing.command import TILE, caption, refusal
from benchmarks.fuzzing.mutants import mutant
from benchmarks.fuzzing.verdicts import ACCEPTED, PARTIAL, REFUSED, UNTRUE, Outcome

_WIDTH, _HEIGHT = 3 * TILE, 2 * TILE
_LAYERS = ("roads", "Straße", "a b", "o'brien", 'the "old" town', "captions_old", "Answers", "rtree_oaks", "select")
_OURS = "captions"
_LOGS = ("-wal", "-shm", "-journal")

Content = dict[str, list[str]]
"""Name → definition and rows, in order, of everything in a file that is not ours."""


def make(folder: Path, chance: random.Random) -> str:
    """Write a scene and a GeoPackage; returns what is special about it."""
    home = folder / "home"
    home.mkdir(parents=True)
    _write_scene(folder / "scene.tif")
    path = home / "project.gpkg"
    if chance.random() < 0.5:
        caption(folder / "scene.tif", path, "--overlap", "8")
    if not path.exists() or chance.random() < 0.8:
        _add_layers(path, chance)
        _add_tables(path, chance)
    state = chance.choice(list(_STATES))
    _STATES[state](path, chance)
    (folder / "state.json").write_text(json.dumps(state))
    return state


def check(folder: Path) -> Outcome:
    """Caption the scene into the GeoPackage, and compare what is in it before and after."""
    from rsmoe_cli.formats import shared_geopackage

    shared_geopackage._PATIENCE = 0.1
    state = json.loads((folder / "state.json").read_text())
    path = folder / "home" / "project.gpkg"
    statements = _OPEN.get(state)
    with _other_program(path, statements) if statements else nullcontext():
        found = _checked(folder, path, state)
    if statements and found[0] == REFUSED:
        return _checked(folder, path, "closed")
    return found


def _checked(folder: Path, path: Path, state: str) -> Outcome:
    before, names = _content(path), sorted(path.parent.iterdir())
    result = caption(folder / "scene.tif", path, "--overwrite")
    if result.exit_code == 0:
        if state in _REFUSED:
            return UNTRUE, f"{state}: not refused"
        return _fault_of_output(path, before) or (ACCEPTED, "")
    outcome = refusal(result)
    if outcome[0] != REFUSED:
        return outcome
    if state not in _REFUSED and state not in _MAY_BE_REFUSED:
        return UNTRUE, f"{state}: {outcome[1]}"
    if (remedy := _REFUSED.get(state, "")) not in outcome[1]:
        return UNTRUE, f"{state}: it does not say '{remedy}': {outcome[1]}"
    if new := set(path.parent.iterdir()) - set(names):
        return PARTIAL, f"{state}: new files {sorted(file.name for file in new)}"
    if (after := _content(path)) != before:
        return UNTRUE, f"{state}: refused, but changed: {_first_difference(before, after)}"
    return outcome


def _fault_of_output(path: Path, before: Content | None) -> Outcome | None:
    """What is wrong with the file after a run that succeeded."""
    import pyogrio

    if left := [file.name for file in path.parent.iterdir() if file != path]:
        return PARTIAL, f"left behind: {left}"
    after = _content(path)
    if after is None:
        return UNTRUE, "the output cannot be read"
    for name, rows in (before or {}).items():
        kept = set(rows) <= set(after.get(name, ())) if name.startswith("gpkg_") else rows == after.get(name)
        if not kept:
            return UNTRUE, f"{name} was {rows}, is {after.get(name)}"[:1000]
    frame = pyogrio.read_dataframe(path, layer=_OURS)
    if (
        len(frame) != (_WIDTH // TILE) * (_HEIGHT // TILE)
        or frame.geometry.isna().any()
        or frame.crs.to_epsg() != 32631
    ):
        return UNTRUE, f"the layer has {len(frame)} rows"
    layers = {name for name, _ in pyogrio.list_layers(path)}
    return None if _OURS in layers else (UNTRUE, f"the layers are {layers}")


def _content(path: Path) -> Content | None:
    """Everything in a file that is not ours, as SQLite reads it; None if it is damaged. Reads a copy with its logs."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", *_LOGS):
            if (file := Path(f"{path}{suffix}")).exists():
                shutil.copy(file, folder)
        if not (Path(folder) / path.name).exists():
            return {}
        try:
            with closing(sqlite3.connect(Path(folder) / path.name)) as database:
                [[found]] = database.execute("PRAGMA integrity_check(1)").fetchall()
                return _dump(database) if found == "ok" else None
        except sqlite3.Error:
            return None


def _dump(database: sqlite3.Connection) -> Content:
    content = {}
    for kind, name, table, sql in database.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall():
        if {name.lower(), table.lower()} & {_OURS} or name.lower().startswith((f"rtree_{_OURS}_geom", "sqlite_")):
            continue
        rows: Sequence[Any] = ()
        if kind == "table" and not name.startswith("rtree_"):
            rows = database.execute(f"""SELECT * FROM "{name.replace('"', '""')}" """).fetchall()
        content[name] = [str(sql), *sorted(text for text in map(repr, rows) if not _is_ours(text))]
    return content


def _is_ours(row: str) -> bool:
    """Whether a row of a catalogue is about our layer, or anybody's reference to our metadata."""
    return f"'{_OURS}'" in row.lower() or 'MDI key="rsmoe"' in row


def _first_difference(before: Content | None, after: Content | None) -> str:
    if before is None or after is None:
        return f"readable: {before is not None}, {after is not None}"
    return next(
        f"{name}: {before.get(name)} {after.get(name)}"
        for name in {*before, *after}
        if before.get(name) != after.get(name)
    )


def _write_scene(path: Path) -> None:
    values = np.random.default_rng(0).integers(40, 220, (3, _HEIGHT, _WIDTH)).astype(np.uint8)
    place = {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 4_000_000)}
    profile = {"count": 3, "height": _HEIGHT, "width": _WIDTH, "dtype": "uint8", "photometric": "RGB"}
    with rasterio.open(path, "w", driver="GTiff", **profile, **place) as out:
        out.write(values)


def _add_layers(path: Path, chance: random.Random) -> None:
    """Layers as GDAL writes them."""
    import geopandas as gpd
    import pyogrio
    from shapely.geometry import LineString, Point, Polygon

    pyogrio.set_gdal_config_options({"OGR_SQLITE_SYNCHRONOUS": "OFF"})  # faster
    for name in chance.sample(_LAYERS, chance.randint(1, 3)):
        kind = chance.choice((Point, LineString, Polygon, None))
        count = chance.randint(0 if kind else 1, 9)
        spots = [[(chance.uniform(0, 9), chance.uniform(0, 9)) for _ in range(4)] for _ in range(count)]
        columns = {"name": [f"é'\"{number}" for number in range(count)], "size": [chance.random()] * count}
        if kind is None:
            pyogrio.write_dataframe(gpd.pd.DataFrame(columns), path, layer=name, driver="GPKG")
            continue
        shapes = [kind(spot[0] if kind is Point else spot) for spot in spots]
        frame = gpd.GeoDataFrame(columns, geometry=shapes, crs=chance.choice((4326, 3857, 2154)))
        frame.to_file(path, layer=name, driver="GPKG")


def _add_tables(path: Path, chance: random.Random) -> None:
    """Tables, views, triggers and indexes, as other programs add them."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA synchronous = OFF")
        for script in chance.sample(_SCRIPTS, chance.randint(0, len(_SCRIPTS))):
            database.executescript(script)


_SCRIPTS = (
    "CREATE TABLE layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT, style TEXT);"
    "INSERT INTO layer_styles (style) VALUES ('red'), ('blue');",
    "CREATE TABLE notes (t TEXT UNIQUE, b BLOB) ; CREATE INDEX notes_b ON notes (b);"
    "INSERT INTO notes VALUES ('a', x'00ff'), (NULL, NULL);"
    "CREATE TRIGGER keep BEFORE DELETE ON notes BEGIN SELECT raise(ABORT, 'never'); END;",
    "CREATE TABLE pairs (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO pairs VALUES (1, 2), (3, 4);",
    "CREATE VIEW tables AS SELECT name FROM sqlite_master;",
    "CREATE TABLE parents (id INTEGER PRIMARY KEY);"
    "CREATE TABLE children (p REFERENCES parents (id) ON DELETE CASCADE);"
    "INSERT INTO parents VALUES (1); INSERT INTO children VALUES (1), (7);",
    "PRAGMA user_version = 10400;",
)


@contextmanager
def _other_program(path: Path, statements: Sequence[str]) -> Iterator[None]:
    """Another process that has the file open; it ends without having lost anything."""
    script = (
        "import sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for statement in sys.argv[2:]: database.execute(statement).fetchall()\n"
        "print('open', flush=True); sys.stdin.read(); database.close()\n"
    )
    command = [sys.executable, "-c", script, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield
        assert process.stdin is not None
        process.stdin.close()


_GROWING = "CREATE TABLE IF NOT EXISTS growing (t)"
_OPEN: dict[str, tuple[str, ...]] = {
    "open with a log": ("PRAGMA journal_mode = WAL", _GROWING, "INSERT INTO growing VALUES ('a')"),
    "open and changing": ("BEGIN IMMEDIATE", _GROWING, "INSERT INTO growing VALUES ('b')"),
    "open exclusively": ("BEGIN EXCLUSIVE",),
    "open and reading": ("BEGIN", "SELECT * FROM sqlite_master"),
    "open and idle": ("SELECT * FROM sqlite_master",),
}
"""State → what the other program does before the run."""
_ELSEWHERE = "is open in another program; close it there"
_REFUSED = {
    **{state: _ELSEWHERE for state in _OPEN if state != "open and idle"},
    "name taken": "has a layer 'Captions' that is not from rsmoe",
    "no GeoPackage": "is a database, but no GeoPackage",
}
"""State in which a run must be refused → what the message has to say."""
_MAY_BE_REFUSED = ("damaged", "log of nonsense", "open and idle")


def _closed(path: Path, chance: random.Random) -> None:
    """As it is after a program has closed it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        if chance.random() < 0.5:
            database.execute(f"PRAGMA page_size = {2 ** chance.randint(9, 16)}")
            database.execute(f"PRAGMA auto_vacuum = {chance.randint(0, 2)}")
            database.execute("VACUUM")
        if chance.random() < 0.3:
            database.execute("PRAGMA journal_mode = WAL")


def _crashed(path: Path, chance: random.Random) -> None:
    """What another program leaves that was killed: the file and its log, at any moment of a change."""
    is_wal = chance.random() < 0.5
    setup = ("PRAGMA journal_mode = WAL",) if is_wal else ("PRAGMA cache_size = 5", "PRAGMA cache_spill = 1")
    with tempfile.TemporaryDirectory() as other:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            for statement in (*setup, *(() if is_wal and chance.random() < 0.7 else ("BEGIN",)), _GROWING):
                database.execute(statement)
            rows = [("x" * 900,)] * chance.randint(1, 300)
            database.executemany("INSERT INTO growing VALUES (?)", rows)
            for suffix in ("", *_LOGS):
                if Path(f"{path}{suffix}").exists():
                    shutil.copy(f"{path}{suffix}", other)
        for suffix in ("", *_LOGS):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        for file in Path(other).iterdir():
            shutil.copy(file, path.parent)


def _removed(path: Path, chance: random.Random) -> None:
    """The file was removed after a crash, its logs were not."""
    _crashed(path, chance)
    path.unlink()


def _with_nonsense(path: Path, chance: random.Random) -> None:
    """A log that is empty, cut, or of another file."""
    _crashed(path, chance)
    logs = [Path(f"{path}{suffix}") for suffix in _LOGS if Path(f"{path}{suffix}").exists()]
    logs = logs or [Path(f"{path}{chance.choice(_LOGS)}")]
    for log in logs:
        log.write_bytes(mutant(log.read_bytes() if log.exists() else os.urandom(512), chance) * chance.randint(0, 1))


def _damaged(path: Path, chance: random.Random) -> None:
    path.write_bytes(mutant(path.read_bytes(), chance))


def _taken(path: Path, _: random.Random) -> None:
    """A layer of another program has the name of ours."""
    path.unlink()
    import geopandas as gpd
    from shapely.geometry import Point

    gpd.GeoDataFrame({"a": [1]}, geometry=[Point(1, 2)], crs=4326).to_file(path, layer="Captions", driver="GPKG")


def _no_geopackage(path: Path, _: random.Random) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript("CREATE TABLE mine (a); INSERT INTO mine VALUES (1);")


_STATES: dict[str, Callable[[Path, random.Random], None]] = {
    "closed": _closed,
    "crashed": _crashed,
    "removed": _removed,
    "log of nonsense": _with_nonsense,
    "damaged": _damaged,
    "name taken": _taken,
    "no GeoPackage": _no_geopackage,
    **dict.fromkeys(_OPEN, _closed),
}
