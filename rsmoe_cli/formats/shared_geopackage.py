"""A GeoPackage that may exist already: our layers in it are replaced in one transaction, all others are kept.

The new content is made in a temporary file: empty, or a copy of the file without our layers. SQLite's own backup then
makes it the content of the file, as a whole or not at all, even if the process is killed. The file itself is never
exchanged: a program that still has it open would write into the old one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from rsmoe_cli.atomic import atomic_file, unfinished_file
from rsmoe_cli.errors import OutputError
from rsmoe_cli.file_locks import connect_without_locks, has_locks, is_lock_failure
from rsmoe_cli.formats.geopackage import METADATA_KEY

_LOGS = ("-wal", "-shm", "-journal")
"""What SQLite appends to the name of a database for the logs of changes that are not in it yet."""
_PATIENCE = 2.0
"""Seconds to wait for another program, which may just be reading."""
_PAGES = 1024
"""Pages of one step of a backup."""
_CATALOGUES = (
    "gpkg_contents",
    "gpkg_geometry_columns",
    "gpkg_extensions",
    "gpkg_ogr_contents",
    "gpkg_data_columns",
    "gpkg_metadata_reference",
)
"""Tables of the standard, and of GDAL, that may have entries about a layer under `table_name`."""
_METADATA_PATTERN = f'%<MDI key="{METADATA_KEY}">%'
_PREFIXES = ("gpkg_", "sqlite_", "rtree_")
"""Tables that are no layers: the catalogues of the standard, SQLite's own, and spatial indexes."""


class SharedGeoPackage:
    """A GeoPackage with layers of ours and, perhaps, of other programs."""

    def __init__(self, path: Path) -> None:
        """It need not exist."""
        self._path = path

    def check(self, layers: Mapping[str, Collection[str]]) -> None:
        """Whether our layers can be replaced now.

        Raises:
            OutputError: another program has the file open, it is damaged or no GeoPackage, or one of its layers has the
                name of ours but is not ours.
        """
        if self._is_database():
            with self._claimed() as database:
                self._kept(database, layers)

    @contextmanager
    def replaced(self, layers: Mapping[str, Collection[str]]) -> Iterator[Path]:
        """A path to write to; what it has when the block ends well becomes the content of the file.

        There is no file yet, or one with the layers of other programs. No other process can use the file meanwhile.

        Raises:
            OutputError: as for `check`, or the file cannot be written.
        """
        if not self._is_database():
            self._remove_logs(*_LOGS)
            with atomic_file(self._path) as unfinished:
                yield unfinished
            return
        with self._claimed() as database, unfinished_file(self._path) as unfinished:
            kept = self._kept(database, layers)
            if kept:
                with self._errors():
                    _copy_without(database, unfinished, list(layers))
            yield unfinished
            with self._errors():
                self._take(database, unfinished, kept)

    def _is_database(self) -> bool:
        """Whether the file exists and begins like SQLite's files; anything else has nothing that could be kept."""
        try:
            with self._path.open("rb") as file:
                return file.read(16) == b"SQLite format 3\0"
        except FileNotFoundError:
            return False
        except OSError as error:
            raise OutputError(f"cannot read {self._path}: {error.strerror}; choose another name") from error

    def _remove_logs(self, *suffixes: str) -> None:
        """Logs that nobody uses: one without its database would be played into the new one."""
        for log in self._logs(*suffixes):
            try:
                log.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(f"{log} belongs to a file that is gone; remove it ({error.strerror})") from error

    def _logs(self, *suffixes: str) -> list[Path]:
        return [log for suffix in suffixes if (log := self._path.with_name(self._path.name + suffix)).exists()]

    @contextmanager
    def _claimed(self) -> Iterator[sqlite3.Connection]:
        """The database, for this process alone, after the logs of programs that have crashed were put in order."""
        if (logs := self._logs(*_LOGS)) and not has_locks(self._path.parent):
            raise OutputError(
                f"{self._path} may be open in another program: {logs[0].name} is there, and the drive has no locks; "
                "close it, or choose another name"
            )
        with closing(_connect(self._path)) as database:
            with self._errors():
                database.execute("PRAGMA locking_mode = EXCLUSIVE")
                database.execute("PRAGMA journal_mode = DELETE")
                database.executescript("BEGIN EXCLUSIVE; COMMIT;")
                [found] = database.execute("PRAGMA quick_check(1)").fetchone()
                if found != "ok":
                    raise sqlite3.DatabaseError(found)
            self._remove_logs("-wal", "-shm")
            yield database

    def _kept(self, database: sqlite3.Connection, layers: Mapping[str, Collection[str]]) -> set[str]:
        """The names of what is not ours: layers, tables and views."""
        with self._errors():
            tables = {
                name.lower(): name
                for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
            }
            has_metadata = _has_metadata(database, tables)
            for layer in [layer for layer in layers if layer.lower() in tables]:
                columns = {row[1] for row in database.execute(f'PRAGMA table_info("{layer}")')}
                if not has_metadata or not columns.issuperset(layers[layer]):
                    name = tables[layer.lower()]
                    raise OutputError(f"{self._path} has a layer '{name}' that is not from rsmoe; choose another name")
        if tables and "gpkg_contents" not in tables:
            raise OutputError(f"{self._path} is a database, but no GeoPackage; choose another name")
        ours = {layer.lower() for layer in layers}
        return {table for table in tables if not table.startswith(_PREFIXES) and table not in ours}

    def _take(self, database: sqlite3.Connection, unfinished: Path, kept: set[str]) -> None:
        """Make the content of a file that of the database."""
        with closing(_connect(unfinished)) as new:
            written = {name.lower() for (name,) in new.execute("SELECT name FROM sqlite_master")}
            if lost := kept - written:
                raise sqlite3.DatabaseError(f"{', '.join(sorted(lost))} would be lost")
            new.backup(database, pages=_PAGES, progress=_stop_if_busy)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors become an OutputError with a remedy."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if is_lock_failure(error):
                message = f"{self._path} is open in another program; close it there, or choose another name"
            elif code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
                message = f"{self._path} is write-protected; choose another name"
            elif code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                message = f"cannot write {self._path.name}: {error}; is the disk full?"
            else:
                message = f"{self._path} is damaged ({error}); move it away, or choose another name"
            raise OutputError(message) from error


def _copy_without(database: sqlite3.Connection, path: Path, layers: Sequence[str]) -> None:
    """Copy a database to a new file, without some layers and what its catalogues say of them."""
    with closing(_connect(path)) as copy:
        database.backup(copy)
        tables = {name.lower() for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for layer in layers:
            for name in (f"rtree_{layer}_geom", layer):
                copy.execute(f'DROP TABLE IF EXISTS "{name}"')
            if "gpkg_metadata" in tables:
                copy.execute(
                    "DELETE FROM gpkg_metadata WHERE metadata LIKE ? AND id IN "
                    "(SELECT md_file_id FROM gpkg_metadata_reference WHERE lower(table_name) = ?)",
                    [_METADATA_PATTERN, layer.lower()],
                )
            for catalogue in tables.intersection(_CATALOGUES):
                copy.execute(f'DELETE FROM "{catalogue}" WHERE lower(table_name) = ?', [layer.lower()])
        copy.commit()


def _has_metadata(database: sqlite3.Connection, tables: Collection[str]) -> bool:
    """Whether one of the layers has metadata of ours."""
    query = "SELECT 1 FROM gpkg_metadata WHERE metadata LIKE ?"
    return "gpkg_metadata" in tables and database.execute(query, [_METADATA_PATTERN]).fetchone() is not None


def _connect(path: Path) -> sqlite3.Connection:
    if has_locks(path.parent):
        return sqlite3.connect(path, timeout=_PATIENCE)
    return connect_without_locks(path)


def _stop_if_busy(status: int, remaining: int, total: int) -> None:
    """Otherwise a backup would wait for a lock forever."""
    if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        error = sqlite3.OperationalError("database is locked")
        error.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise error
