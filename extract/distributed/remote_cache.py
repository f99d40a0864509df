"""A worker's access to the one cache of its run: looks up a block at a time, writes in groups."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ray.exceptions import RayError

from extract.distributed.actors import CachedAnswer, as_extract_error
from extract.errors import ORDERS, ExtractError, OutputError, unforeseen
from extract.interactions.interaction import Interaction
from extract.interactions.usage import Attempt
from extract.io.cache.sharing import Sharing

__all__ = ["RemoteAnswerStore"]


class RemoteAnswerStore:
    """Answers that another process stores. To be used in one event loop, which it never blocks.

    `cache` is the handle of the actor, `rungs` are those that it knows, by their schemas. A call that fails since the
    actor died is repeated by Ray until it is back; meanwhile the requests that wait for it keep their slots.
    """

    def __init__(self, worker: str, cache: Any, rungs: dict[bytes, int]) -> None:
        self.flying: dict[bytes, asyncio.Future[Interaction]] = {}
        self.sharing: Sharing | None = None  # one keeper has the cache, and it has it to itself
        self._worker, self._cache, self._rungs = worker, cache, rungs
        self._ahead: dict[bytes, bytes | None] = {}
        self._lookups: list[set[bytes]] = []
        self._pending: list[tuple[CachedAnswer, asyncio.Future[None]]] = []
        self._noted: list[Attempt] = []
        self._groups = 0
        self._sending: asyncio.Task[None] | None = None

    async def prefetch(self, keys: Sequence[bytes]) -> None:
        self._ahead |= await self._look_up(keys)

    def clear_prefetch(self) -> None:
        """Nothing: other blocks of this worker may still ask for what was looked up."""

    async def fetch(self, key: bytes) -> bytes | None:
        while key not in self._ahead:
            self._ahead |= await self._look_up([key])
        return self._ahead.pop(key)

    async def _look_up(self, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """Look keys up, except those that this worker stores meanwhile: the reply may be older than that."""
        stored_meanwhile: set[bytes] = set()
        self._lookups.append(stored_meanwhile)
        try:
            answers = await self._cache.find.remote(list(keys))
        except RayError as error:
            raise as_extract_error(error) from None
        except ORDERS:
            raise
        except BaseException as error:
            raise unforeseen(error, "answers cannot be looked up") from error
        finally:
            self._lookups = [stored for stored in self._lookups if stored is not stored_meanwhile]
        return {key: answers.get(key) for key in keys if key not in stored_meanwhile}

    def forget(self, key: bytes) -> None:
        self._cache.forget.remote(key)

    def rung(self, schema: bytes) -> int:
        return self._rungs.get(schema, 0)

    def remember_rung(self, schema: bytes, rung: int) -> None:
        self._rungs[schema] = rung
        self._cache.remember_rung.remote(schema, rung)

    async def keep(self, key: bytes, interaction: bytes, *, rung: int = 0, service: str | None = None) -> None:
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(((key, interaction, rung, service), committed))
        self._send()
        await committed
        # What was looked up before knows nothing of this answer, be it here or still on its way.
        self._ahead.pop(key, None)
        for stored_meanwhile in self._lookups:
            stored_meanwhile.add(key)

    def note(self, attempt: Attempt) -> None:
        self._noted.append(attempt)
        self._send()

    def _send(self) -> None:
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        """Send group after group: what comes while one is under way goes with the next."""
        try:
            while self._pending or self._noted:
                await asyncio.sleep(0)  # so that all of this turn of the event loop form one group
                await self._send_group()
        finally:
            self._sending = None

    async def _send_group(self) -> None:
        group, self._pending = self._pending, []
        attempts, self._noted = self._noted, []
        self._groups += 1  # by this number the cache recognizes a group that Ray sends a second time
        failure = await self._store([answer for answer, _ in group], attempts)
        for _, committed in group:
            if committed.done():
                continue
            if failure is None:
                committed.set_result(None)
            else:
                committed.set_exception(failure)

    async def _store(self, answers: list[CachedAnswer], attempts: list[Attempt]) -> ExtractError | None:
        """Store a group; return why it failed. Any error is returned: whoever awaits the answers must get it."""
        try:
            await self._cache.keep.remote(self._worker, self._groups, answers, attempts)
        except RayError as error:
            return OutputError(str(as_extract_error(error)))
        except BaseException as error:  # a cancellation as well: nobody but this task tells those who wait
            return unforeseen(error, "answers could not be stored")
        return None
