"""Uploaded files in the cache: entered before their first byte is sent, removed once they are deleted.

So every file that a killed process has left on the service can be found by the next run with the same cache.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from extract.errors import OutputError

__all__ = ["CREATE_FILES", "FileRow", "FileTable", "is_possible_file"]

CREATE_FILES = """
    CREATE TABLE files (
        name TEXT PRIMARY KEY,
        service TEXT NOT NULL,
        hash BLOB NOT NULL,
        mime_type TEXT NOT NULL,
        size INTEGER NOT NULL,
        uri TEXT,
        created REAL NOT NULL,
        expires REAL NOT NULL,
        owner INTEGER
    )
    """
_COLUMNS = "name, service, hash, mime_type, size, uri, created, expires, owner"


class FileRow(NamedTuple):
    """One file of a service. `uri` is None until all of it has arrived; times are Unix times of this machine.

    `owner` is the process that uses it, None where none does.
    """

    name: str
    service: str
    hash: bytes
    mime_type: str
    size: int
    uri: str | None
    created: float
    expires: float
    owner: int | None = None

    @property
    def is_used_elsewhere(self) -> bool:
        """True where another process uses the file; one that was killed uses nothing."""
        return self.owner not in (None, os.getpid()) and _is_alive(self.owner or 0)


class FileTable:
    """The table `files` of a cache, in one commit per change. OutputError where it cannot be read or written.

    `held` counts the runs of this process that use a file, by name: none of them deletes what another one needs, nor
    what another process on this machine uses. Without a `database` the table is in memory, and closed with its last
    user.
    """

    def __init__(
        self,
        database: sqlite3.Connection | None = None,
        where: str = "memory",
        renewed: Callable[[sqlite3.Error], bool] = lambda _: False,
    ) -> None:
        self.held: Counter[str] = Counter()
        self._database, self._where, self._renewed = database or self._in_memory(), where, renewed

    def move_to(self, database: sqlite3.Connection) -> None:
        """Go on with another file: `renewed` is what says, of an error, that one has taken the place of the first."""
        self._database = database

    def _in_memory(self) -> sqlite3.Connection:
        database = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, database.close)  # from 3.13 on Python warns of a connection that nobody closes
        database.execute(CREATE_FILES)
        return database

    def add(self, row: FileRow) -> None:
        """Enter a file whose upload begins now; an existing entry stays as it is."""
        values = (*row[:-1], os.getpid())
        self._change(f"INSERT OR IGNORE INTO files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", *values)  # noqa: S608 - ours

    async def settled(self) -> None:
        """Return once all changes are stored where they outlive this process: at once, unless the table is remote."""

    def adopt(self, name: str) -> None:
        """Enter this process as the user of a file that an earlier one has left."""
        self._change("UPDATE files SET owner = ? WHERE name = ?", os.getpid(), name)

    def disown(self) -> None:
        """Enter that this process uses no files except those that its other runs hold."""
        for row in self._rows("owner = ?", os.getpid()):
            if not self.held[row.name]:
                self._change("UPDATE files SET owner = NULL WHERE name = ?", row.name)

    def arrived(self, name: str, uri: str) -> None:
        """Enter that all of a file has arrived, and the URI by which requests refer to it."""
        self._change("UPDATE files SET uri = ? WHERE name = ?", uri, name)

    def forget(self, name: str) -> None:
        """Remove a file that is no longer on the service."""
        self._change("DELETE FROM files WHERE name = ?", name)

    def find(self, service: str, content: bytes, mime_type: str, after: float) -> FileRow | None:
        """Return the newest file with this content that expires later than `after`, a Unix time.

        One that has not arrived in full is returned only where no process is uploading it any more.
        """
        rows = self._rows(
            "service = ? AND hash = ? AND mime_type = ? AND expires > ? ORDER BY created DESC",
            service,
            content,
            mime_type,
            after,
        )
        return next((row for row in rows if row.uri is not None or self._is_unused(row)), None)

    def unused(self, service: str) -> list[FileRow]:
        """Return the files that no run of this process and no other process uses, the oldest first."""
        return [row for row in self._rows("service = ? ORDER BY created", service) if self._is_unused(row)]

    def size(self, service: str) -> int:
        """Return how many bytes all files of a service take together."""
        return sum(row.size for row in self._rows("service = ?", service))

    def _is_unused(self, row: FileRow) -> bool:
        return not self.held[row.name] and not row.is_used_elsewhere

    def _rows(self, where: str, *values: object) -> list[FileRow]:
        try:
            rows = self._database.execute(f"SELECT {_COLUMNS} FROM files WHERE {where}", values)  # noqa: S608
            return [FileRow(*row) for row in rows if is_possible_file(row)]
        except sqlite3.Error as error:
            if self._renewed(error):
                return self._rows(where, *values)
            raise OutputError(f"the cache {self._where} cannot be read: {error}") from None

    def _change(self, statement: str, *values: Any) -> None:
        try:
            with self._database:
                self._database.execute(statement, values)
        except sqlite3.Error as error:
            if self._renewed(error):
                return self._change(statement, *values)
            raise OutputError(f"the cache {self._where} cannot be written: {error}") from None


def is_possible_file(row: Sequence[Any]) -> bool:
    """Return whether all cells of a row have values that a file can have: a damaged one is one that nobody knows."""
    name, service, content, mime_type, size, uri, created, expires, owner = row
    texts = all(isinstance(text, str) for text in (name, service, mime_type)) and isinstance(uri, str | None)
    times = isinstance(created, float) and isinstance(expires, float)
    counts = isinstance(size, int) and size >= 0 and isinstance(owner, int | None)
    return texts and times and counts and isinstance(content, bytes)


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # signal 0 would end the process there; at worst a file in use is deleted and uploaded again
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # a process of another user
        return True
    return True
