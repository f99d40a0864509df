"""Paid answers on disk: one SQLite file, and that is the whole of "resume": the next run looks there first."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from extract.documents.files import printable
from extract.interactions.interaction import Interaction
from extract.interactions.usage import Attempt
from extract.io.cache.checksums import is_sound_answer
from extract.io.cache.database import CacheFile
from extract.io.cache.funds import Funds
from extract.io.cache.ledger import ATTEMPTS, Spending, spendings
from extract.io.cache.sharing import Sharing
from extract.io.cache.statistics import CacheStatistics
from extract.io.cache.uploaded_files import FileTable
from extract.io.cache.verification import Verification, verify
from extract.io.cache.write_queue import WriteQueue

__all__ = ["ResponseCache"]

_log = logging.getLogger("extract.io")

_ANSWERS = "SELECT key, interaction, rung, at, checksum FROM answers"


class ResponseCache:
    """Answers by content key. Runs of several processes may share a file; an object is for one thread at a time.

        with ResponseCache("answers.cache") as cache:
            run(["I love it"], Extractor(["praise", "complaint"], "{text}"), cache=cache, offline=True)
            print(len(cache))  # 1; a second run would send nothing

    `flying` are the requests in flight by key: runs in one event loop that share a cache ask each of them once, and
    through `sharing` so do runs of several processes.
    `files` are the uploaded files that it knows of, `statistics` are figures about all runs that used it.
    Raises ConfigError where the file is not a cache of this library, OutputError where it cannot be written. With
    `read_only` the file is not created, changed or migrated, and another process may be writing to it.
    """

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        self.path: Path = Path(path)
        self.flying: dict[bytes, asyncio.Future[Interaction]] = {}
        self._file = CacheFile(self.path, read_only=read_only)
        self._queue = WriteQueue(self._file)
        self._prefetched: dict[bytes, bytes | None] = {}
        self._damage_reported = False
        self.sharing: Sharing | None = Sharing(self.path, self.flying, self.clear_prefetch)
        self.files: FileTable = FileTable(self._file.connection, str(self.path), self._file.renewed)
        self._file.on_renewed = self.files.move_to
        self.statistics: CacheStatistics = CacheStatistics(self._file)

    def get(self, key: bytes) -> bytes | None:
        """Return the JSON text of the interaction stored under `key`, or None."""
        return self._sound(self._file.select(f"{_ANSWERS} WHERE key = ?", key)).get(key)

    def find(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the JSON texts of the interactions that are stored, by their keys."""
        self._queue.commit()  # what is queued would not be seen
        places = ",".join("?" * len(keys))
        return self._sound(self._file.select(f"{_ANSWERS} WHERE key IN ({places})", *keys))

    async def prefetch(self, keys: Sequence[bytes]) -> None:
        """Look up together what `fetch` will be called with soon, once for each key.

        That takes a tenth of the time of single lookups. What `keep` is given meanwhile is still seen; what another
        process stores meanwhile is not.
        """
        stored = self.find(keys)
        self._prefetched |= dict.fromkeys(keys)  # only now: a lookup that failed does not show that a key is absent
        self._prefetched |= stored

    def clear_prefetch(self) -> None:
        """Forget what was looked up and not fetched: another process may store it at any time."""
        self._prefetched.clear()

    async def fetch(self, key: bytes) -> bytes | None:
        """Return what `get` returns, from what `prefetch` has looked up if it has: each of these counts once."""
        return self._prefetched.pop(key) if key in self._prefetched else self.get(key)

    async def keep(self, key: bytes, interaction: bytes, *, rung: int = 0, service: str | None = None) -> None:
        """Return once the answer is committed. All answers of one turn of the event loop share one commit.

        `service` is who gave it, as it stands in content keys; None where that is not known.
        """
        self._prefetched.pop(key, None)
        await self._queue.add_answer(key, interaction, rung, service)

    async def keep_group(
        self,
        sender: str,
        number: int,
        answers: Sequence[tuple[bytes, bytes, int, str | None]],
        attempts: Sequence[Attempt],
    ) -> None:
        """Return once what another process hands in is committed: answers by key, with rung and service, and attempts.

        The numbers of a sender's groups rise: one that arrives again, also after a restart, is entered once.
        """
        await self._queue.add_group(sender, number, answers, attempts)

    def forget(self, key: bytes) -> None:
        """Drop an answer that cannot be read any more, so that a new one can take its place, and say so once."""
        self._file.change("DELETE FROM answers WHERE key = ?", key)
        if not self._damage_reported:
            self._damage_reported = True
            _log.warning(
                "an answer in the cache %s is damaged: it is asked again, as is each further one", printable(self.path)
            )

    def _sound(self, rows: Sequence[tuple[Any, ...]]) -> dict[bytes, bytes]:
        """Return the answers of rows that are as they were stored, by their keys; forget the others."""
        stored = {row[0]: row[1] for row in rows if is_sound_answer(*row)}
        if len(stored) < len(rows) and not self._file.read_only:
            for key in {row[0] for row in rows} - stored.keys():
                self.forget(key)
        return stored

    def note(self, attempt: Attempt) -> None:
        """Enter one attempt into the ledger, in one commit with the answers of the same turn of the event loop."""
        self._queue.add_attempt(attempt)

    def rung(self, schema: bytes) -> int:
        """Return how far a schema had to be relaxed for the service to accept it; 0 where that is not known."""
        rows = self._file.select("SELECT rung FROM rungs WHERE schema = ?", schema)
        rung = rows[0][0] if rows else 0
        return rung if isinstance(rung, int) and rung > 0 else 0

    def remember_rung(self, schema: bytes, rung: int) -> None:
        """Store what `rung` returns, for later runs."""
        self._file.change("INSERT OR REPLACE INTO rungs (schema, rung) VALUES (?, ?)", schema, rung)

    def attempts_since(self, at: float) -> int:
        """Return how many attempts the ledger holds since a Unix time."""
        return int(self._file.select("SELECT count(*) FROM attempts WHERE at >= ?", at)[0][0])

    def spent(self, since: float = 0.0) -> list[Spending]:
        """Return what all runs with this file have spent since a Unix time, by kind of attempt, model and tier."""
        return spendings(self._file.select(ATTEMPTS, since))

    def funds(self) -> Funds:
        """Return what one run takes from the money that all runs with this file share."""
        return Funds(self._file, self._queue.commit)

    def verify(self, readable: Callable[[bytes], object]) -> Verification:
        """Read the whole file; `readable` raises ExtractError for an answer that cannot be read."""
        return verify(self._file, readable)

    def __len__(self) -> int:
        return int(self._file.select("SELECT count(*) FROM answers")[0][0])

    def close(self) -> None:
        """Commit what is still queued, answers and ledger, and close the file."""
        self._queue.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
