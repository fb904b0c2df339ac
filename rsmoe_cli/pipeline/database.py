"""An SQLite file that one process has to itself. What is in it is safe on the disk; the lock dies with the process."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rsmoe_cli.errors import OutputError


class Database:
    """The file; it is made with its tables where it is not there yet."""

    def __init__(self, path: Path, purpose: str, tables: str, layout: int) -> None:
        """`purpose` is what the file is for, in a few words; a file whose tables have another `layout` is not read.

        Raises:
            OutputError: another process has the file, or it cannot be read or written.
        """
        self.path, self._purpose = path, purpose
        with self._telling():
            self._base = sqlite3.connect(path, timeout=0)
            for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
                self._base.execute(f"PRAGMA {setting}")
            [[there]] = self._base.execute("SELECT count(*) FROM sqlite_master")
            if not there:
                self._base.executescript(f"BEGIN; {tables} PRAGMA user_version = {layout}; COMMIT;")
            [[found]] = self._base.execute("PRAGMA user_version")
        if found != layout:
            self.close()
            raise OutputError(f"{path} was written by another rsmoe; finish with that one, or remove it")

    def read(self, query: str, *values: object) -> sqlite3.Cursor:
        """The lines that a query finds, one at a time."""
        with self._telling():
            return self._base.execute(query, values)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Takes what is done in the block as a whole or not at all; it is safe on the disk when the block has ended.

        Raises:
            OutputError: the disk is full, or the file is gone.
        """
        if not self.path.exists():
            raise OutputError(f"{self.path} has vanished while it was in use; start the command again")
        with self._telling(), self._base:
            yield self._base

    def close(self) -> None:
        """Gives the file free; as often as one neighbours."""
        self._base.close()

    def remove(self) -> None:
        """Closes the file and removes it."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what SQLite adds in the higher bits
            if code == sqlite3.SQLITE_BUSY:
                said = f"another run has the {self._purpose}; wait for it, or choose another one"
            elif code == sqlite3.SQLITE_NOTADB:
                said = f"{self.path} is not what its name says; remove it, or choose another output"
            elif code == sqlite3.SQLITE_CANTOPEN:
                said = f"cannot write into {self.path.parent}; choose another folder"
            else:
                said = f"cannot write {self.path}: {error}; make room, and the same command goes on where it was"
            raise OutputError(said) from error
