"""The SQLite file of a cache: made, opened, brought to the newest form, read and changed."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from extract.errors import ConfigError, OutputError
from extract.io.cache.ledger import CREATE_ATTEMPTS
from extract.io.cache.uploaded_files import CREATE_FILES

__all__ = ["BUSY_SECONDS", "CacheFile", "unwritable"]

_WAL_TRIES = 250
_WAL_WAIT_SECONDS = 0.02
_WAL_PAGES = 10_000  # of 4 KiB before they are moved into the file: fewer pauses for a little more disk
BUSY_SECONDS = 30.0
_HINTS = {
    sqlite3.SQLITE_FULL: ": is the disk full?",
    sqlite3.SQLITE_IOERR: ": is the disk full?",
    sqlite3.SQLITE_BUSY: ": another program holds it",
    sqlite3.SQLITE_READONLY: ": it may only be read",
}
_APPLICATION_ID = 0x65787472  # "extr": tells our files from other people's
_MIGRATIONS = (
    """
    CREATE TABLE answers (
        key BLOB PRIMARY KEY,
        interaction BLOB NOT NULL,
        rung INTEGER NOT NULL DEFAULT 0,
        at REAL NOT NULL
    )
    """,
    """
    CREATE TABLE rungs (
        schema BLOB PRIMARY KEY,
        rung INTEGER NOT NULL
    )
    """,
    CREATE_ATTEMPTS,
    CREATE_FILES,
    # The last group that each sending process has handed in: one that arrives again is not entered again.
    """
    CREATE TABLE groups (
        sender TEXT PRIMARY KEY,
        number INTEGER NOT NULL
    )
    """,
)


class CacheFile:
    """An open cache file. Safe with two processes on one file; to be used from one thread at a time.

    Raises ConfigError where the file is not a cache of this library, OutputError where it cannot be opened, read or
    written. With `read_only` nothing is made, changed or migrated, and another process may be writing to it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        try:
            self.connection = _open_read_only(path) if read_only else _open(path)
        except sqlite3.OperationalError as error:
            raise OutputError(f"the cache {path} cannot be opened: {error}") from None
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{path} is not a cache that can be used ({error}); name another with --cache") from None
        except OSError as error:
            raise OutputError(f"the cache {path} cannot be opened: {error.strerror}") from None

    def select(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        try:
            return self.connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise OutputError(f"the cache {self.path} cannot be read: {error}") from None

    def change(self, statement: str, *values: object) -> None:
        """Execute one statement in its own transaction."""
        try:
            with self.connection:
                self.connection.execute(statement, values)
        except sqlite3.Error as error:
            raise unwritable(self.path, error) from None

    def wait_for_others(self, seconds: float) -> None:
        """Let each change wait that long, at most, for another process that holds the file."""
        with suppress(sqlite3.Error):
            self.connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    def close(self) -> None:
        self.connection.close()


def unwritable(path: Path, error: sqlite3.Error) -> OutputError:
    """Return the error of a cache that cannot be written, with what may help."""
    code = getattr(error, "sqlite_errorcode", None)
    hint = _HINTS.get(code & 0xFF, "") if isinstance(code, int) else ""
    return OutputError(f"the cache {path} cannot be written ({error}){hint}")


def _open(path: Path) -> sqlite3.Connection:
    # Made before SQLite opens it, so that nobody else can read answers even for a moment; -wal and -shm inherit the
    # mode. A link that leads to no file is not followed: somebody else would choose what is made, and where.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        os.close(os.open(path, os.O_RDWR))
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _open_read_only(path: Path) -> sqlite3.Connection:
    """Open a file without changing it; a table that an older version lacks is an empty one in memory."""
    # SQLite would make a log beside the file even to read it. Where there is none, nobody is writing.
    writing = path.with_name(path.name + "-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro" + ("" if writing else "&immutable=1")
    database = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)
    try:
        version, tables = _version(database)
        if not tables:
            raise sqlite3.DatabaseError("the file is empty")
        database.execute("PRAGMA temp_store = MEMORY")
        for statement in _MIGRATIONS[version:]:
            database.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE"))
    except BaseException as error:
        database.close()
        if writing and isinstance(error, sqlite3.OperationalError):
            message = f"{error}; its log {path.name}-wal needs a folder that can be written to: copy both into one"
            raise sqlite3.OperationalError(message) from None
        raise
    return database


def _version(database: sqlite3.Connection) -> tuple[int, int]:
    """Return a file's version and its number of tables. sqlite3.DatabaseError where it is no cache of this library."""
    # All three in one transaction: another process may be making the file at this moment.
    with database:
        database.execute("BEGIN")
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (tables and application != _APPLICATION_ID) or version > len(_MIGRATIONS):
        raise sqlite3.DatabaseError("written by another program or a newer version")
    return version, tables


def _migrate(database: sqlite3.Connection) -> None:
    """Bring an empty or older file to the newest form, each step in its own transaction."""
    version, _ = _version(database)
    _use_wal(database)
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    for number, statement in enumerate(_MIGRATIONS[version:], start=version + 1):
        with database:
            database.execute("BEGIN IMMEDIATE")
            # Another process may have taken this step while this one waited for the lock.
            if database.execute("PRAGMA user_version").fetchone()[0] < number:
                database.execute(statement)
                database.execute(f"PRAGMA user_version = {number}")
                database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")


def _use_wal(database: sqlite3.Connection, sleep: Callable[[float], None] = time.sleep) -> None:
    """Switch to write-ahead logging; SQLite does not wait by itself where two processes do so at once."""
    for _ in range(_WAL_TRIES):
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            sleep(_WAL_WAIT_SECONDS)
    database.execute("PRAGMA journal_mode = WAL")
