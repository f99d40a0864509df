"""The SQLite file of a cache: made, opened, brought to the newest form, read and changed."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

from extract.documents.files import printable
from extract.errors import ConfigError, OutputError
from extract.io.cache.damage import (
    APPLICATION_ID,
    TABLES,
    DamagedError,
    beside,
    copy_rows,
    has_our_header,
    is_damage,
    reason,
    salvage,
    set_aside,
    was_cache,
)
from extract.io.cache.ledger import CREATE_ATTEMPTS
from extract.io.cache.services import CREATE_SERVICES
from extract.io.cache.uploaded_files import CREATE_FILES

__all__ = ["BUSY_SECONDS", "CacheFile", "unwritable"]

_log = logging.getLogger("extract.io")
_SET_ASIDE = "the cache %s was damaged (%s): it is now %s, and of its answers %d could be kept"
_FOLLOWED = "the cache %s was %s under this run: one with all answers of this run is there now"
_LOST = "the cache %s was %s under this run, and cannot be made anew (%s): its answers are in the output alone"

_WAL_TRIES = 250
_WAL_WAIT_SECONDS = 0.02
_WAL_PAGES = 10_000  # of 4 KiB before they are moved into the file: fewer pauses for a little more disk
BUSY_SECONDS = 30.0
_text = partial(str, encoding="utf-8", errors="replace")  # a damaged text is found out by its row's checksum
_HINTS = {
    sqlite3.SQLITE_FULL: ": is the disk full?",
    sqlite3.SQLITE_IOERR: ": is the disk full?",
    sqlite3.SQLITE_BUSY: ": another program holds it",
    sqlite3.SQLITE_READONLY: ": it may only be read",
}
_MAX_RENEWALS = 3  # of one file: what is damaged again and again lies on a damaged disk
_COLUMNS = ["key", "interaction", "rung", "at", "checksum"]  # of an answer, in the newest form
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
    # What older releases have stored has none.
    "ALTER TABLE answers ADD COLUMN checksum INTEGER",
    "ALTER TABLE attempts ADD COLUMN checksum INTEGER",
    CREATE_SERVICES,
    # What runs have set aside of a budget for all of them.
    """
    CREATE TABLE funds (
        run TEXT PRIMARY KEY,
        dollars TEXT NOT NULL
    )
    """,
)


class CacheFile:
    """An open cache file. Safe with two processes on one file; to be used from one thread at a time.

    Raises ConfigError where the file is not a cache of this library, OutputError where it cannot be opened, read or
    written. With `read_only` nothing is made, changed or migrated, and another process may be writing to it.

    A damaged file is set aside, and a new one with what could be read of it takes its place, also in the middle of a
    run; one that is deleted or replaced under a run is made anew. `on_renewed` is then called with the new connection.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path: Path = path
        self.read_only: bool = read_only
        self.on_renewed: Callable[[sqlite3.Connection], None] = lambda _: None
        self._renewals = 0
        try:
            self.connection: sqlite3.Connection = _open_read_only(path) if read_only else _open_sound(path)
        except sqlite3.OperationalError as error:
            raise OutputError(f"the cache {path} cannot be opened: {reason(error)}") from None
        except sqlite3.DatabaseError as error:
            if is_damage(error) and was_cache(path):
                hint = "the next run sets it aside, and keeps what can be read" if read_only else "move it away"
                raise OutputError(f"the cache {path} is damaged ({reason(error)}): {hint}") from None
            raise ConfigError(
                f"{path} is not a cache that can be used ({reason(error)}); name another with --cache"
            ) from None
        except OSError as error:
            raise OutputError(f"the cache {path} cannot be opened: {error.strerror}") from None
        self._places = _places(path)

    def select(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        try:
            return self.connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            if self.renewed(error):
                return self.select(query, *values)
            raise OutputError(f"the cache {self.path} cannot be read: {reason(error)}") from None

    def change(self, statement: str, *values: object) -> None:
        """Execute one statement in its own transaction."""
        try:
            with self.connection:
                self.connection.execute(statement, values)
        except sqlite3.Error as error:
            if self.renewed(error):
                return self.change(statement, *values)
            raise unwritable(self.path, error) from None

    def renewed(self, error: sqlite3.Error) -> bool:
        """Return whether an error showed a damaged file, and a sound one has taken its place: then try again."""
        if self.read_only or self._renewals >= _MAX_RENEWALS or not is_damage(error):
            return False
        if self.follow():
            return True
        self._renewals += 1
        self.connection.close()
        try:
            self._go_on_with(_made_anew(self.path, error))
        except (sqlite3.Error, OSError):
            return False
        return True

    def follow(self) -> bool:
        """Notice that the file was deleted or replaced under this run, and put into its place what this run has.

        Returns whether it was. Where its place cannot be taken, the run goes on with the file that nobody sees.
        """
        if self._places[0] is None or (place := _place(self.path)) == self._places[0]:
            return False
        what = "deleted" if place is None else "replaced"
        self._renewals += 1
        try:
            _clear(self.path, self._places)
            database = _open_sound(self.path)
            copy_rows(self.connection, database)
        except (sqlite3.Error, OSError) as error:
            self._places = [None]
            _log.warning(_LOST, printable(self.path), what, reason(error))
            return False
        _log.warning(_FOLLOWED, printable(self.path), what)
        self.connection.close()
        self._go_on_with(database)
        return True

    def _go_on_with(self, database: sqlite3.Connection) -> None:
        self.connection = database
        self._places = _places(self.path) if self._renewals < _MAX_RENEWALS else [None]
        self.on_renewed(database)

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
    return OutputError(f"the cache {path} cannot be written ({reason(error)}){hint}")


def _open_sound(path: Path) -> sqlite3.Connection:
    """Open a cache, or make one; what is damaged is set aside."""
    place = _place(path)
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error) or not was_cache(path):
            raise
        if _place(path) != place:  # another process has set it aside
            return _open(path)
        return _made_anew(path, error)


def _made_anew(path: Path, error: sqlite3.Error) -> sqlite3.Connection:
    """Set a damaged file aside, and return a new one in its place, with what can be read of it.

    Raises `error` where that cannot be done. Until the new file is whole the damaged one stays: a run that is killed
    meanwhile leaves it for the next one.
    """
    place, fresh = _place(path), path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        with closing(_open(fresh)) as database:
            answers = salvage(path, database)
        if _place(path) == place:  # else another process has done the same meanwhile
            aside = set_aside(path)
            fresh.rename(path)
            _log.warning(_SET_ASIDE, printable(path), reason(error), printable(aside), answers)
    except (OSError, sqlite3.Error):
        raise error from None
    finally:
        _remove(fresh)
    return _open(path)


def _remove(path: Path) -> None:
    for name in (path, *beside(path)):
        with suppress(OSError):
            name.unlink(missing_ok=True)


def _place(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at a path from another one that takes its place; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _places(path: Path) -> list[tuple[int, int] | None]:
    """Return the places of a cache and of the two files that SQLite keeps beside it."""
    return [_place(name) for name in (path, *beside(path))]


def _clear(path: Path, places: list[tuple[int, int] | None]) -> None:
    """Take away what SQLite keeps beside a file that is gone: it must not be read as that of another one."""
    for name, place in zip(beside(path), places[1:], strict=True):
        if place is not None and _place(name) == place:
            name.unlink()


def _open(path: Path) -> sqlite3.Connection:
    # Made before SQLite opens it, so that nobody else can read answers even for a moment; -wal and -shm inherit the
    # mode. A link that leads to no file is not followed: somebody else would choose what is made, and where.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        os.close(os.open(path, os.O_RDWR))
        _check_log(path)
        if path.stat().st_size == 0:
            _log.warning("the cache %s is an empty file: it begins anew", printable(path))
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    database.text_factory = _text
    try:
        _migrate(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _open_read_only(path: Path) -> sqlite3.Connection:
    """Open a file without changing it; a table that an older version lacks is an empty one in memory."""
    # SQLite would make a log beside the file even to read it. Where there is none, nobody is writing.
    writing = path.with_name(path.name + "-wal").exists()
    if writing and path.stat().st_size == 0:
        raise DamagedError("the file is empty, and its log is not")
    uri = f"{path.absolute().as_uri()}?mode=ro" + ("" if writing else "&immutable=1")
    database = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)
    database.text_factory = _text
    try:
        version, tables = _version(database, path)
        if not tables:
            raise sqlite3.DatabaseError("the file is empty")
        database.execute("PRAGMA temp_store = MEMORY")
        for statement in _MIGRATIONS[version:]:
            database.execute(_in_memory(statement, tables))
    except BaseException as error:
        database.close()
        if writing and isinstance(error, sqlite3.OperationalError):
            message = f"{error}; its log {path.name}-wal needs a folder that can be written to: copy both into one"
            raise sqlite3.OperationalError(message) from None
        raise
    return database


def _in_memory(statement: str, tables: set[str]) -> str:
    """Return what does in memory what a migration does to a file with these tables."""
    table = statement.split()[2]
    if statement.startswith("ALTER TABLE") and table in tables:
        return f"CREATE TEMP VIEW {table} AS SELECT *, NULL AS checksum FROM main.{table}"  # noqa: S608 - our own words
    if table in tables:
        raise DamagedError(f"its version is not that of its tables, which have {table}")
    return statement.replace("CREATE TABLE", "CREATE TEMP TABLE")


def _check_log(path: Path) -> None:
    """Raise DamagedError for a log that is not of this file: opened for writing, SQLite would move it into the file."""
    log, _ = beside(path)
    if not log.exists() or not log.stat().st_size:
        return
    if path.stat().st_size == 0:
        raise DamagedError("the file is empty, and its log is not")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as database:
        _version(database, path)


def _version(database: sqlite3.Connection, path: Path) -> tuple[int, set[str]]:
    """Return a file's version and its tables. sqlite3.DatabaseError where it is no cache of this library."""
    # All three in one transaction: another process may be making the file at this moment.
    try:
        with database:
            database.execute("BEGIN")
            (application,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            columns = [name for (name,) in database.execute("SELECT name FROM pragma_table_info('answers')")]
    except UnicodeError:  # SQLite quotes it in a message, and Python cannot read that
        raise DamagedError("what it says of its tables is no text") from None
    if tables >= TABLES and application != APPLICATION_ID:
        raise DamagedError("its tables are those of a cache, its header is not")
    if tables and application != APPLICATION_ID and has_our_header(path):
        raise DamagedError("its log is that of another file")
    if (tables and application != APPLICATION_ID) or version > len(_MIGRATIONS):
        raise sqlite3.DatabaseError("written by another program or a newer version")
    if version == len(_MIGRATIONS) and columns != _COLUMNS:
        raise DamagedError("its table of answers has other columns")
    return version, tables


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    """Bring an empty or older file to the newest form, each step in its own transaction."""
    version, _ = _version(database, path)
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
                database.execute(f"PRAGMA application_id = {APPLICATION_ID}")


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
