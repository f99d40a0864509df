"""The SQLite file under a decision file: made whole, opened only where it is one, every error said in one line."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any, Final, TypeVar

from extract.documents.files import printable
from extract.errors import ConfigError, OutputError, in_one_line

__all__ = ["FORMAT", "Database", "made_whole", "readable"]

FORMAT: Final = 1
"""The form of the file. A file of a newer form is refused: what it says could be misread."""
_APPLICATION_ID: Final = 0x45585256  # "EXRV"
_BUSY_SECONDS: Final = 30.0
_TABLES: Final = """
    CREATE TABLE setup (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE tasks (
        number INTEGER PRIMARY KEY,
        row_id TEXT NOT NULL,
        row_hash TEXT NOT NULL,
        answer_hash TEXT,
        kind TEXT NOT NULL,
        score REAL,
        reason TEXT,
        split TEXT NOT NULL
    );
    CREATE TABLE decisions (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        task INTEGER NOT NULL REFERENCES tasks,
        person TEXT NOT NULL,
        blind INTEGER NOT NULL,
        action TEXT NOT NULL,
        value TEXT,
        spans TEXT NOT NULL,
        verdicts TEXT NOT NULL,
        row_hash TEXT NOT NULL,
        answer_hash TEXT,
        time REAL NOT NULL,
        seconds REAL,
        undoes INTEGER UNIQUE REFERENCES decisions
    );
    CREATE INDEX decisions_of_a_person ON decisions (person, task);
    -- Follows from the decisions, and is kept beside them so that a page of a large file is quick.
    CREATE TABLE current (
        person TEXT NOT NULL,
        task INTEGER NOT NULL,
        decision INTEGER NOT NULL,
        PRIMARY KEY (person, task)
    ) WITHOUT ROWID;
    CREATE INDEX current_by_task ON current (task);
"""

_Read = TypeVar("_Read")


@contextmanager
def made_whole(path: Path) -> Iterator[sqlite3.Connection]:
    """Make a file that only this user can read; it has its name once the block has ended without an error.

    ConfigError where a file of that name is there: the decisions of people are never written over.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    if path.exists():
        raise ConfigError(f"{printable(path)} exists; choose another name, or delete it with all its decisions")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(temporary, isolation_level=None)) as database, readable(path):
            database.execute("PRAGMA synchronous = FULL")
            database.executescript(f"BEGIN; {_TABLES}")
            database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {FORMAT}")
            yield database
            database.execute("COMMIT")
        _name(temporary, path)
    except FileExistsError:
        raise ConfigError(f"{printable(path)} exists; choose another name") from None
    except OSError as error:
        raise OutputError(f"{printable(path)} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def _name(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # unlike a rename, it fails where another process has made one meanwhile
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        temporary.rename(path)


class Database:
    """An open decision file, for any thread; each error of SQLite is a ConfigError or an OutputError of one line."""

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self._lock = RLock()
        self.connection: sqlite3.Connection = _connect(path)

    def select(self, query: str, *values: object, read: Callable[[tuple[Any, ...]], _Read]) -> list[_Read]:
        """Return all rows of a query, each as what `read` makes of it. What it cannot read is damage."""
        with self.using():
            return [read(row) for row in self.connection.execute(query, values)]

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """Keep other threads out of the file."""
        with self._lock, readable(self.path):
            yield self.connection

    @contextmanager
    def moment(self, *, writes: bool) -> Iterator[sqlite3.Connection]:
        """Make one transaction: all that is read is of one moment; what is written is on disk when the block ends."""
        with self.using() as connection:
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self.connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    """Open a decision file. ConfigError where it is none, is damaged, or is of a newer form."""
    if not path.is_file():
        raise ConfigError(f"there is no decision file {printable(str(path))!r}")
    with readable(path):
        database = sqlite3.connect(
            path.absolute(), timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _check(path, database)
            # A journal beside the file only while a decision is written: what people copy or send is one file.
            database.execute("PRAGMA journal_mode = DELETE")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            database.close()
            raise
        return database


def _check(path: Path, database: sqlite3.Connection) -> None:
    application = database.execute("PRAGMA application_id").fetchone()[0]
    form = database.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION_ID:
        raise ConfigError(f"{printable(path)} is no decision file: begin one with extract gold draw or extract review")
    if form != FORMAT:
        message = f"has the form {form}, and this release knows only {FORMAT}: use the release that wrote it, or newer"
        raise ConfigError(f"the decision file {printable(path)} {message}")
    # Whoever made the file must not decide what becomes of the decisions that others add to it.
    if database.execute("SELECT 1 FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone():
        raise ConfigError(f"{printable(path)} is no decision file of this package: it holds code that would run")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say in one line why a decision file cannot be read or written."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OutputError(f"the decision file {printable(path)} cannot be used: {in_one_line(error)}") from None
    except (sqlite3.DatabaseError, ValueError, TypeError, RecursionError) as error:
        message = f"is damaged or is no decision file ({in_one_line(error)}): take a copy of it from before"
        raise ConfigError(f"{printable(path)} {message}") from None
