"""What waits to be committed to a cache: all that arrives in one turn of the event loop goes into one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from extract.errors import ORDERS, ExtractError, unforeseen
from extract.interactions.usage import Attempt
from extract.io.cache.checksums import answer_checksum
from extract.io.cache.database import BUSY_SECONDS, CacheFile, unwritable
from extract.io.cache.ledger import NOTE, entry
from extract.io.cache.services import COUNT

__all__ = ["WriteQueue"]

# First come, first stored: another process may have paid for the same answer meanwhile.
_STORE = "INSERT OR IGNORE INTO answers (key, interaction, rung, at, checksum) VALUES (?, ?, ?, ?, ?)"
# Changes a row only for a number that is higher than the sender's last one.
_IS_NEW = (
    "INSERT INTO groups (sender, number) VALUES (?, ?) "
    "ON CONFLICT (sender) DO UPDATE SET number = excluded.number WHERE excluded.number > number"
)

_LAST_WAIT_SECONDS = 5.0
_LOOK_SECONDS = 0.1  # between two looks whether the file is still in its place


class _Batch(NamedTuple):
    """What goes into one transaction: answers and groups with those who wait for them, and entries of the ledger."""

    answers: list[tuple[bytes, bytes, int, str | None, float, asyncio.Future[None]]]
    entries: list[tuple[Any, ...]]
    groups: list[tuple[str, int, list[tuple[Any, ...]], asyncio.Future[None]]]

    def waiting(self) -> list[asyncio.Future[None]]:
        return [*(answer[-1] for answer in self.answers), *(group[-1] for group in self.groups)]

    def joined(self, other: _Batch) -> _Batch:
        return _Batch(self.answers + other.answers, self.entries + other.entries, self.groups + other.groups)

    def singly(self) -> list[_Batch]:
        """Return a batch for each part."""
        return [
            *(_Batch([answer], [], []) for answer in self.answers),
            *(_Batch([], [one], []) for one in self.entries),
            *(_Batch([], [], [group]) for group in self.groups),
        ]


class WriteQueue:
    """Answers and ledger entries that the next turn of the event loop commits together.

    Who adds an answer gets a future that is done once it is committed, or fails with OutputError. An attempt is
    committed together with the answer it belongs to, so that no answer is ever without its entry in the ledger.

    What fails is told to those who wait for it, whatever the reason, and is tried again with the next commit, or at
    last by `close`: a disk may have room again, and another process let go of the file.
    """

    def __init__(self, file: CacheFile, now: Callable[[], float] = time.time) -> None:
        self._file, self._now = file, now
        self._queued = _Batch([], [], [])
        self._scheduled: asyncio.AbstractEventLoop | None = None
        self._is_refused = False  # True while the file takes nothing
        self._untold: ExtractError | None = None
        self._look_again = 0.0

    def add_answer(self, key: bytes, interaction: bytes, rung: int, service: str | None) -> asyncio.Future[None]:
        """Queue an answer of a service and return what is done once it is committed."""
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._schedule()
        self._queued.answers.append((key, interaction, rung, service, self._now(), committed))
        return committed

    def add_attempt(self, attempt: Attempt) -> None:
        """Queue one entry of the ledger."""
        self._schedule()
        self._queued.entries.append(entry(attempt, self._now()))

    def add_group(
        self,
        sender: str,
        number: int,
        answers: Sequence[tuple[bytes, bytes, int, str | None]],
        attempts: Sequence[Attempt],
    ) -> asyncio.Future[None]:
        """Queue what another process hands in and return what is done once it is committed.

        The numbers of a sender's groups rise; the attempts of one that arrives again are not entered again.
        """
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._schedule()
        at = self._now()
        self._queued.answers.extend([(*answer, at, committed) for answer in answers])
        self._queued.groups.append((sender, number, [entry(attempt, at) for attempt in attempts], committed))
        return committed

    def commit(self) -> None:
        """Write all that is queued in one transaction, and tell those who wait for it."""
        self._scheduled = None
        if not any(self._queued):
            return  # committed by `close`, or for a lookup, meanwhile
        batch, self._queued = self._queued, _Batch([], [], [])
        failure, self._untold = self._untold, None
        try:
            self._write(batch)
        except BaseException as error:  # whatever it is: nobody else tells those who wait
            failure = self._reason(error)
            self._rescue(batch, error)
            if isinstance(error, ORDERS):
                raise
        else:
            self._wait_again()
        finally:
            waiting = batch.waiting()
            _resolve(waiting, failure)
            self._untold = None if waiting else failure  # of entries alone: who stores the next answer is told

    def close(self) -> None:
        """Commit what is queued, and what could not be committed before."""
        if self._is_refused and any(self._queued):
            self._file.wait_for_others(_LAST_WAIT_SECONDS)
        self.commit()
        if not self._file.read_only:
            self._file.follow()
        left, self._queued = self._queued, _Batch([], [], [])
        self._write_singly(left)  # where there is no room for all, there may be for some

    def _write(self, batch: _Batch) -> None:
        # Not with each commit, of which there are thousands a second: what is written meanwhile is copied, too.
        if (now := self._now()) >= self._look_again or now < self._look_again - _LOOK_SECONDS:
            self._look_again = now + _LOOK_SECONDS
            self._file.follow()
        try:
            self._insert(batch)
        except sqlite3.DatabaseError as error:
            if not self._file.renewed(error):
                raise
            self._insert(batch)

    def _insert(self, batch: _Batch) -> None:
        with self._file.connection as database:
            for service, rows in _by_service(batch.answers).items():
                stored = database.executemany(_STORE, rows).rowcount
                if service is not None and stored > 0:
                    database.execute(COUNT, (service, stored))
            database.executemany(NOTE, batch.entries)
            for sender, number, group, _ in batch.groups:
                if database.execute(_IS_NEW, (sender, number)).rowcount:
                    database.executemany(NOTE, group)

    def _rescue(self, batch: _Batch, error: BaseException) -> None:
        """Keep what can be kept of a batch that failed as a whole, now or later."""
        if isinstance(error, sqlite3.OperationalError):
            self._queued = batch.joined(self._queued)
            # Those in flight would wait one after the other, while nothing else goes on.
            self._is_refused = True
            self._file.wait_for_others(0)
        else:  # one value is at fault, and must not take the others with it
            self._write_singly(batch)

    def _write_singly(self, batch: _Batch) -> None:
        for part in batch.singly():
            with suppress(Exception):
                self._write(part)

    def _reason(self, error: BaseException) -> ExtractError:
        if isinstance(error, sqlite3.Error):
            return unwritable(self._file.path, error)
        return unforeseen(error, f"the cache {self._file.path} cannot be written")

    def _wait_again(self) -> None:
        if self._is_refused:
            self._is_refused = False
            self._file.wait_for_others(BUSY_SECONDS)

    def _schedule(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # `close` commits it
        # A loop that was broken off never reached its commit: another loop must not wait for it.
        if self._scheduled is not loop:
            self._scheduled = loop
            loop.call_soon(self.commit)


def _by_service(
    answers: Iterable[tuple[bytes, bytes, int, str | None, float, asyncio.Future[None]]],
) -> dict[str | None, list[tuple[Any, ...]]]:
    """Return the rows to store by the service that gave the answers: mostly there is one."""
    rows: defaultdict[str | None, list[tuple[Any, ...]]] = defaultdict(list)
    for key, interaction, rung, service, at, _ in answers:
        rows[service].append(_row(key, interaction, rung, at))
    return rows


def _row(key: Any, interaction: Any, rung: Any, at: Any) -> tuple[Any, ...]:
    return (key, interaction, rung, at, answer_checksum(key, interaction, rung, at))


def _resolve(waiting: Sequence[asyncio.Future[None]], failure: ExtractError | None) -> None:
    for future in waiting:
        # Done: nobody waits for it any more, or it is that of a group, which all its answers share.
        if future.done() or future.get_loop().is_closed():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
