"""Paid answers on disk: one SQLite file, and that is the whole of "resume": the next run asks it first."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from extract.errors import ConfigError, OutputError
from extract.types import Attempt, Interaction

__all__ = ["ResponseCache"]

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
)


class ResponseCache:
    """Answers by content key. Safe with two processes on one file; to be used from one thread at a time.

    Raises ConfigError where the file is not a cache of this library, OutputError where it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.flying: dict[bytes, asyncio.Future[Interaction]] = {}
        self._pending: list[tuple[bytes, bytes, int, float, asyncio.Future[None]]] = []
        try:
            self._database = _open(self.path)
        except sqlite3.OperationalError as error:
            raise OutputError(f"the cache {self.path} cannot be opened: {error}") from None
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{self.path} is not a cache that can be used ({error}); name another with --cache"
            ) from None
        except OSError as error:
            raise OutputError(f"the cache {self.path} cannot be opened: {error.strerror}") from None

    def get(self, key: bytes) -> bytes | None:
        """Return the JSON text of the interaction kept under `key`, or None."""
        try:
            row = self._database.execute("SELECT interaction FROM answers WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise OutputError(f"the cache {self.path} cannot be read: {error}") from None
        return row[0] if row else None

    def forget(self, key: bytes) -> None:
        """Drop an answer that cannot be read any more, so that a new one can take its place."""
        try:
            with self._database:
                self._database.execute("DELETE FROM answers WHERE key = ?", (key,))
        except sqlite3.Error as error:
            raise OutputError(f"the cache {self.path} cannot be written: {error}") from None

    def rung(self, schema: bytes) -> int:
        """Return how far a schema had to be relaxed for the service to take it; 0 where nobody has found out."""
        try:
            row = self._database.execute("SELECT rung FROM rungs WHERE schema = ?", (schema,)).fetchone()
        except sqlite3.Error as error:
            raise OutputError(f"the cache {self.path} cannot be read: {error}") from None
        return int(row[0]) if row else 0

    def remember_rung(self, schema: bytes, rung: int) -> None:
        """Keep what `rung` returns, for the runs to come."""
        try:
            with self._database:
                self._database.execute("INSERT OR REPLACE INTO rungs (schema, rung) VALUES (?, ?)", (schema, rung))
        except sqlite3.Error as error:
            raise OutputError(f"the cache {self.path} cannot be written: {error}") from None

    async def keep(self, key: bytes, interaction: bytes, *, rung: int = 0) -> None:
        """Return once the answer is committed. All answers of one turn of the event loop share one commit."""
        loop = asyncio.get_running_loop()
        kept: asyncio.Future[None] = loop.create_future()
        if not self._pending:
            loop.call_soon(self._commit)
        self._pending.append((key, interaction, rung, time.time(), kept))
        await kept

    def _commit(self) -> None:
        group, self._pending = self._pending, []
        failure: OutputError | None = None
        try:
            with self._database:
                # First come, first kept: another process may have paid for the same answer meanwhile.
                self._database.executemany(
                    "INSERT OR IGNORE INTO answers (key, interaction, rung, at) VALUES (?, ?, ?, ?)",
                    [answer for *answer, _ in group],
                )
        except sqlite3.Error as error:
            failure = OutputError(f"the cache {self.path} cannot be written ({error}): is the disk full?")
        for *_, kept in group:
            if kept.done():
                continue
            if failure is None:
                kept.set_result(None)
            else:
                kept.set_exception(failure)

    def note(self, attempt: Attempt) -> None:
        """In the making."""

    def attempts_since(self, at: float) -> int:
        """In the making."""
        return 0

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(path: Path) -> sqlite3.Connection:
    # Made before SQLite sees it, so that nobody else can read answers for a moment; -wal and -shm inherit the mode.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(path, timeout=30.0, check_same_thread=False)
    try:
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _migrate(database: sqlite3.Connection) -> None:
    """Bring an empty or older file to the newest form, each step in a transaction of its own."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (tables and application != _APPLICATION_ID) or version > len(_MIGRATIONS):
        raise sqlite3.DatabaseError("written by another program or a newer version")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    for number, statement in enumerate(_MIGRATIONS[version:], start=version + 1):
        with database:
            database.execute("BEGIN IMMEDIATE")
            if database.execute("PRAGMA user_version").fetchone()[0] < number:
                database.execute(statement)
                database.execute(f"PRAGMA user_version = {number}")
                database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
