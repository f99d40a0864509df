"""What waits to be committed to a cache: all that arrives in one turn of the event loop goes into one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

from extract.errors import OutputError
from extract.interactions.usage import Attempt
from extract.io.cache.database import CacheFile
from extract.io.cache.ledger import NOTE, entry

__all__ = ["WriteQueue"]

# First come, first stored: another process may have paid for the same answer meanwhile.
_STORE = "INSERT OR IGNORE INTO answers (key, interaction, rung, at) VALUES (?, ?, ?, ?)"
# Changes a row only for a number that is higher than the sender's last one.
_IS_NEW = (
    "INSERT INTO groups (sender, number) VALUES (?, ?) "
    "ON CONFLICT (sender) DO UPDATE SET number = excluded.number WHERE excluded.number > number"
)


class WriteQueue:
    """Answers and ledger entries that the next turn of the event loop commits together.

    Who adds an answer gets a future that is done once it is committed, or fails with OutputError. An attempt is
    committed together with the answer it belongs to, so that no answer is ever without its entry in the ledger.
    """

    def __init__(self, file: CacheFile, now: Callable[[], float] = time.time) -> None:
        self._file, self._now = file, now
        self._answers: list[tuple[bytes, bytes, int, float, asyncio.Future[None]]] = []
        self._entries: list[tuple[Any, ...]] = []
        self._groups: list[tuple[str, int, list[tuple[Any, ...]], asyncio.Future[None]]] = []
        self._scheduled: asyncio.AbstractEventLoop | None = None

    def add_answer(self, key: bytes, interaction: bytes, rung: int) -> asyncio.Future[None]:
        """Queue an answer and return what is done once it is committed."""
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._schedule()
        self._answers.append((key, interaction, rung, self._now(), committed))
        return committed

    def add_attempt(self, attempt: Attempt) -> None:
        """Queue one entry of the ledger."""
        self._schedule()
        self._entries.append(entry(attempt, self._now()))

    def add_group(
        self, sender: str, number: int, answers: Sequence[tuple[bytes, bytes, int]], attempts: Sequence[Attempt]
    ) -> asyncio.Future[None]:
        """Queue what another process hands in and return what is done once it is committed.

        The numbers of a sender's groups rise; the attempts of one that arrives again are not entered again.
        """
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._schedule()
        at = self._now()
        self._answers += [(*answer, at, committed) for answer in answers]
        self._groups.append((sender, number, [entry(attempt, at) for attempt in attempts], committed))
        return committed

    def commit(self) -> None:
        """Write all that is queued in one transaction, and tell those who wait for it."""
        self._scheduled = None
        if not self._answers and not self._entries and not self._groups:
            return  # committed by `close`, or for a lookup, meanwhile
        answers, self._answers = self._answers, []
        entries, self._entries = self._entries, []
        groups, self._groups = self._groups, []
        failure: OutputError | None = None
        try:
            with self._file.connection as database:
                database.executemany(_STORE, [answer for *answer, _ in answers])
                database.executemany(NOTE, entries)
                for sender, number, group, _ in groups:
                    if database.execute(_IS_NEW, (sender, number)).rowcount:
                        database.executemany(NOTE, group)
        except sqlite3.Error as error:
            failure = OutputError(f"the cache {self._file.path} cannot be written ({error}): is the disk full?")
        _resolve((*(answer[-1] for answer in answers), *(group[-1] for group in groups)), failure)

    def _schedule(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # `close` commits it
        # A loop that was broken off never reached its commit: another loop must not wait for it.
        if self._scheduled is not loop:
            self._scheduled = loop
            loop.call_soon(self.commit)


def _resolve(waiting: Sequence[asyncio.Future[None]], failure: OutputError | None) -> None:
    for future in waiting:
        # Done: nobody waits for it any more, or it is that of a group, which all its answers share.
        if future.done() or future.get_loop().is_closed():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
