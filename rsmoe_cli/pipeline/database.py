"""An SQLite database that one process has to itself. A committed change is safe on the disk; the lock ends with the
process.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rsmoe_cli.errors import OutputError
from rsmoe_cli.file_locks import connect_without_locks, has_locks, is_lock_failure

log = logging.getLogger(__name__)


class Database:
    """A database file, created with its tables where it does not exist yet; or a database in memory."""

    def __init__(self, path: Path | None, purpose: str, tables: str, layout: int) -> None:
        """Without a path it is in memory. `purpose` names what the file belongs to; `layout` is the version of the
        tables.

        Raises:
            OutputError: another process is using the file, it has another layout, or it cannot be read or written.
        """
        self.path, self._purpose = path, purpose
        with self._sqlite_errors():
            found = self._open(tables, layout)
        if found != layout:
            self.close()
            raise OutputError(f"{path} was written by another version of rsmoe; finish with that version, or remove it")

    def _open(self, tables: str, layout: int) -> int:
        """Connect, and create the tables of a new database; returns the version of the tables."""
        if self.path is None:
            self._connection = sqlite3.connect(":memory:")
            return self._prepare(tables, layout)
        is_new = not self.path.exists()
        try:
            self._connection = sqlite3.connect(self.path, timeout=0)
            return self._prepare(tables, layout)
        except sqlite3.Error as error:
            self._connection.close()
            if not is_lock_failure(error) or has_locks(self.path.parent):
                raise
        try:
            self._connection = connect_without_locks(self.path)
            found = self._prepare(tables, layout)
        except sqlite3.Error:
            self._connection.close()
            if is_new:
                self.path.unlink(missing_ok=True)
            raise
        log.warning("the drive of the %s has no file locks: make sure that no other run writes it", self._purpose)
        return found

    def _prepare(self, tables: str, layout: int) -> int:
        for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {setting}")
        [[table_count]] = self._connection.execute("SELECT count(*) FROM sqlite_master")
        if not table_count:
            self._connection.executescript(f"BEGIN; {tables} PRAGMA user_version = {layout}; COMMIT;")
        [[found]] = self._connection.execute("PRAGMA user_version")
        return int(found)

    def read(self, query: str, *values: object) -> sqlite3.Cursor:
        """The rows that a query finds, one at a time."""
        with self._sqlite_errors():
            return self._connection.execute(query, values)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All changes of the block are committed, or none; they are safe on the disk when the block has ended.

        Raises:
            OutputError: the disk is full, or the file is gone.
        """
        if self.path is not None and not self.path.exists():
            raise OutputError(f"{self.path} was removed while it was in use; start the command again")
        with self._sqlite_errors(), self._connection:
            yield self._connection

    def close(self) -> None:
        """Release the file; further calls have no effect."""
        self._connection.close()

    def remove(self) -> None:
        """Close the file and remove it."""
        self.close()
        if self.path is not None:
            for suffix in ("", "-wal", "-shm", "-journal"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    @contextmanager
    def _sqlite_errors(self) -> Iterator[None]:
        """SQLite's errors become an OutputError with a remedy."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the higher bits hold SQLite's extended codes
            if code == sqlite3.SQLITE_BUSY:
                message = f"another run is using the {self._purpose}; wait for it, or choose another one"
            elif code == sqlite3.SQLITE_NOTADB:
                message = f"{self.path} is not a journal of rsmoe; remove it, or choose another output"
            elif code == sqlite3.SQLITE_CANTOPEN and self.path is not None:
                message = f"cannot write into {self.path.parent}; choose another folder"
            else:
                message = f"cannot write {self.path}: {error}; free some space, and run the same command to continue"
            raise OutputError(message) from error
