"""Paid answers on disk: one SQLite file, and that is the whole of "resume": the next run asks it first."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from extract.errors import ConfigError, ExtractError, OutputError
from extract.interactions.interaction import Interaction
from extract.interactions.usage import Attempt
from extract.io.cache.ledger import ATTEMPTS, CREATE_ATTEMPTS, NOTE, Spending, entry, spendings
from extract.io.cache.uploaded_files import CREATE_FILES, FileTable

__all__ = ["Answers", "ResponseCache", "Verification"]

_KEY_BYTES = 32
_WAL_TRIES = 250
_WAL_PAGES = 10_000  # of 4 KiB before they are moved into the file: fewer pauses for a little more disk
_IS_NEW = (
    "INSERT INTO groups (sender, number) VALUES (?, ?) "
    "ON CONFLICT (sender) DO UPDATE SET number = excluded.number WHERE excluded.number > number"
)

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
    # The last group of each process that hands in what it was answered: one that comes again is not entered again.
    """
    CREATE TABLE groups (
        sender TEXT PRIMARY KEY,
        number INTEGER NOT NULL
    )
    """,
)


@dataclass(frozen=True, slots=True)
class Verification:
    """How whole a cache file is: `damaged` are keys of answers that cannot be read, which a run asks again."""

    answers: int
    damaged: tuple[bytes, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.damaged and not self.problems


class Answers(Protocol):
    """Where a run keeps answers: a ResponseCache, or what stands for one that is somewhere else."""

    flying: dict[bytes, asyncio.Future[Interaction]]

    async def fetch_ahead(self, keys: Sequence[bytes]) -> None: ...
    def look_no_further(self) -> None: ...
    async def fetch(self, key: bytes) -> bytes | None: ...
    def forget(self, key: bytes) -> None: ...
    def rung(self, schema: bytes) -> int: ...
    def remember_rung(self, schema: bytes, rung: int) -> None: ...
    async def keep(self, key: bytes, interaction: bytes, *, rung: int = 0) -> None: ...
    def note(self, attempt: Attempt) -> None: ...


class ResponseCache:
    """Answers by content key. Safe with two processes on one file; to be used from one thread at a time.

        with ResponseCache("answers.cache") as cache:
            run(["I love it"], Extractor(["praise", "complaint"], "{text}"), cache=cache, offline=True)
            print(len(cache))  # 1; a second run would send nothing

    `flying` are the requests in flight by key: runs in one event loop that share a cache ask each of them once.
    `files` are the uploaded files that it knows of.
    Raises ConfigError where the file is not a cache of this library, OutputError where it cannot be written. With
    `read_only` the file is not created, changed or migrated, and another process may be writing to it.
    """

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        self.path = Path(path)
        self.flying: dict[bytes, asyncio.Future[Interaction]] = {}
        self._pending: list[tuple[bytes, bytes, int, float, asyncio.Future[None]]] = []
        self._noted: list[tuple[Any, ...]] = []
        self._groups: list[tuple[str, int, list[tuple[Any, ...]], asyncio.Future[None]]] = []
        self._ahead: dict[bytes, bytes | None] = {}
        self._scheduled: asyncio.AbstractEventLoop | None = None
        try:
            self._database = _look(self.path) if read_only else _open(self.path)
        except sqlite3.OperationalError as error:
            raise OutputError(f"the cache {self.path} cannot be opened: {error}") from None
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"{self.path} is not a cache that can be used ({error}); name another with --cache"
            ) from None
        except OSError as error:
            raise OutputError(f"the cache {self.path} cannot be opened: {error.strerror}") from None
        self.files = FileTable(self._database, str(self.path))

    def look_ahead(self, keys: Sequence[bytes]) -> None:
        """Look up together what `get` will be asked for soon, once for each key: a tenth of the time of single looks.

        What `keep` is given meanwhile is still found; what another process keeps meanwhile is not.
        """
        answers = self.find(keys)
        self._ahead |= dict.fromkeys(keys)  # only now: what could not be looked up is not known to be absent
        self._ahead |= answers

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the JSON texts of the interactions that are kept, by their keys."""
        self._commit()  # what is queued would not be seen
        places = ",".join("?" * len(keys))
        return dict(self._select(f"SELECT key, interaction FROM answers WHERE key IN ({places})", *keys))  # noqa: S608

    def look_no_further(self) -> None:
        """Forget what was looked up ahead and not asked for: it will not be true for ever."""
        self._ahead.clear()

    async def fetch_ahead(self, keys: Sequence[bytes]) -> None:
        """Do what `look_ahead` does: to be awaited, as the answers of a cluster are kept by another process."""
        self.look_ahead(keys)

    async def fetch(self, key: bytes) -> bytes | None:
        """Return what `get` returns: to be awaited, as the answers of a cluster are kept by another process."""
        return self.get(key)

    def get(self, key: bytes) -> bytes | None:
        """Return the JSON text of the interaction kept under `key`, or None."""
        if key in self._ahead:
            return self._ahead.pop(key)
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
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._schedule()
        self._ahead.pop(key, None)
        self._pending.append((key, interaction, rung, time.time(), committed))
        await committed

    def note(self, attempt: Attempt) -> None:
        """Enter one attempt into the ledger, in one commit with the answers of the same turn of the event loop."""
        self._schedule()
        self._noted.append(entry(attempt, time.time()))

    async def keep_group(
        self, sender: str, number: int, answers: Sequence[tuple[bytes, bytes, int]], attempts: Sequence[Attempt]
    ) -> None:
        """Return once what another process hands in is committed: answers by key, with their rungs, and attempts.

        The numbers of a sender's groups rise: one that comes again, also after a restart, is entered once.
        """
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._schedule()
        at = time.time()
        self._pending += [(*answer, at, committed) for answer in answers]
        self._groups.append((sender, number, [entry(attempt, at) for attempt in attempts], committed))
        await committed

    def _schedule(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # `close` commits it
        # A loop that was broken off never came to its commit: another loop must not wait for it.
        if self._scheduled is not loop:
            self._scheduled = loop
            loop.call_soon(self._commit)

    def _commit(self) -> None:
        self._scheduled = None
        if not self._pending and not self._noted and not self._groups:
            return  # closed meanwhile
        answers, self._pending = self._pending, []
        noted, self._noted = self._noted, []
        groups, self._groups = self._groups, []
        failure: OutputError | None = None
        try:
            with self._database:
                # First come, first kept: another process may have paid for the same answer meanwhile.
                self._database.executemany(
                    "INSERT OR IGNORE INTO answers (key, interaction, rung, at) VALUES (?, ?, ?, ?)",
                    [answer for *answer, _ in answers],
                )
                self._database.executemany(NOTE, noted)
                for sender, number, entries, _ in groups:
                    if self._database.execute(_IS_NEW, (sender, number)).rowcount:
                        self._database.executemany(NOTE, entries)
        except sqlite3.Error as error:
            failure = OutputError(f"the cache {self.path} cannot be written ({error}): is the disk full?")
        for committed in (*(answer[-1] for answer in answers), *(group[-1] for group in groups)):
            if committed.done() or committed.get_loop().is_closed():
                continue
            if failure is None:
                committed.set_result(None)
            else:
                committed.set_exception(failure)

    def attempts_since(self, at: float) -> int:
        """Return how many attempts the ledger holds since a Unix time."""
        return int(self._select("SELECT count(*) FROM attempts WHERE at >= ?", at)[0][0])

    def spent(self, since: float = 0.0) -> list[Spending]:
        """Return what all runs with this file have taken since a Unix time, by kind of attempt, model and tier."""
        return spendings(self._select(ATTEMPTS, since))

    def relaxed(self) -> list[tuple[bytes, int]]:
        """Return the schemas that had to be relaxed for the service to take them, by their keys, and how far."""
        return self._select("SELECT schema, rung FROM rungs WHERE rung > 0 ORDER BY rung DESC, schema")

    def span(self) -> tuple[float, float] | None:
        """Return the Unix times of the first and the last answer, None where there is none."""
        first, last = self._select("SELECT min(at), max(at) FROM answers")[0]
        return None if first is None else (first, last)

    def pace(self, stretches: int) -> tuple[float, list[tuple[float, int]]]:
        """Return the length in seconds of equal stretches of time, and how many attempts each has from when on.

        They reach from the first attempt to the last; a stretch without an attempt is left out.
        """
        first, last = self._select("SELECT min(at), max(at) FROM attempts")[0]
        if first is None or first == last:
            return 0.0, []
        stretch = (last - first) / stretches
        query = "SELECT min(CAST((at - ?) / ? AS INTEGER), ?) AS place, count(*) FROM attempts GROUP BY place"
        counts = self._select(query, first, stretch, stretches - 1)
        return stretch, [(first + place * stretch, count) for place, count in counts]

    def verify(self, readable: Callable[[bytes], object]) -> Verification:
        """Look through the whole file; `readable` raises ExtractError for an answer that cannot be read."""
        damaged: list[bytes] = []
        try:
            messages = [str(row[0]) for row in self._database.execute("PRAGMA integrity_check")]
            for key, interaction in self._database.execute("SELECT key, interaction FROM answers"):
                try:
                    if len(key) != _KEY_BYTES:
                        raise ConfigError("a key of another length")
                    readable(interaction)
                except ExtractError:
                    damaged.append(bytes(key))
            return Verification(len(self), tuple(damaged), tuple(line for line in messages if line != "ok"))
        except sqlite3.Error as error:
            return Verification(0, tuple(damaged), (str(error),))

    def _select(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise OutputError(f"the cache {self.path} cannot be read: {error}") from None

    def __len__(self) -> int:
        return int(self._database.execute("SELECT count(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Commit what is still queued, answers and ledger, and close the file."""
        self._commit()
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


def _look(path: Path) -> sqlite3.Connection:
    """Open a file to read only; what an older version has not is an empty table in memory."""
    # SQLite would make a log beside the file even to read it. Where there is none, nobody is writing.
    writing = path.with_name(path.name + "-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro" + ("" if writing else "&immutable=1")
    database = sqlite3.connect(uri, uri=True, timeout=30.0)
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
    """Return the version of a file and how many tables it has. sqlite3.DatabaseError where it is no cache."""
    # One look at all three: another process may be making the file at this moment.
    with database:
        database.execute("BEGIN")
        (application,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if (tables and application != _APPLICATION_ID) or version > len(_MIGRATIONS):
        raise sqlite3.DatabaseError("written by another program or a newer version")
    return version, tables


def _migrate(database: sqlite3.Connection) -> None:
    """Bring an empty or older file to the newest form, each step in a transaction of its own."""
    version, _ = _version(database)
    _use_wal(database)
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    for number, statement in enumerate(_MIGRATIONS[version:], start=version + 1):
        with database:
            database.execute("BEGIN IMMEDIATE")
            if database.execute("PRAGMA user_version").fetchone()[0] < number:
                database.execute(statement)
                database.execute(f"PRAGMA user_version = {number}")
                database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")


def _use_wal(database: sqlite3.Connection, sleep: Callable[[float], None] = time.sleep) -> None:
    """Write ahead; SQLite does not wait by itself where two processes turn to it at once."""
    for _ in range(_WAL_TRIES):
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            sleep(0.02)
    database.execute("PRAGMA journal_mode = WAL")
