"""Drives without file locks, as some network shares are: how they are recognised, and how SQLite writes to them."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

_LOCK_FAILURES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_IOERR_LOCK,
        sqlite3.SQLITE_IOERR_RDLOCK,
        sqlite3.SQLITE_IOERR_UNLOCK,
        sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK,
    }
)
"""What SQLite reports when a lock is refused: by another process, or by a drive that has none."""


def is_lock_failure(error: sqlite3.Error) -> bool:
    """Whether SQLite failed because it did not get a lock."""
    code = getattr(error, "sqlite_errorcode", 0)  # the higher bits hold SQLite's extended codes
    return code in _LOCK_FAILURES or code & 0xFF in _LOCK_FAILURES


def has_locks(folder: Path) -> bool:
    """Whether files in a folder can be locked: tried with a new database, which no other process can hold.

    True as well if that cannot be tried, so that other faults keep their own messages.
    """
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".rsmoe-", dir=folder) as temporary,
            closing(sqlite3.connect(Path(temporary) / "locks", timeout=0)) as database,
        ):
            database.execute("CREATE TABLE locks (x)")
    except sqlite3.Error as error:
        return not is_lock_failure(error)
    except OSError:
        return True
    return True


def connect_without_locks(path: Path) -> sqlite3.Connection:
    """A database that is used without locks: nothing keeps two processes apart."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?nolock=1", uri=True)
