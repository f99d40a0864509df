"""A worker's view of its run's one cache: looked up block by block, written in groups, durable before it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ray.exceptions import RayError

from extract.distributed.actors import Answer, answered, raised
from extract.errors import OutputError
from extract.types import Attempt, Interaction

__all__ = ["RemoteAnswers"]


class RemoteAnswers:
    """Answers that another process keeps. To be used in one event loop.

    A call that the keeper could not answer is repeated by Ray until it is back; meanwhile slots stay taken.
    """

    def __init__(self, worker: str, keeper: Any) -> None:
        self.flying: dict[bytes, asyncio.Future[Interaction]] = {}
        self._worker, self._keeper = worker, keeper
        self._ahead: dict[bytes, bytes | None] = {}
        self._pending: list[tuple[Answer, asyncio.Future[None]]] = []
        self._noted: list[Attempt] = []
        self._groups = 0
        self._sending: asyncio.Task[None] | None = None

    def look_ahead(self, keys: Sequence[bytes]) -> None:
        found = answered(lambda: self._keeper.find.remote(list(keys)))
        self._ahead |= dict.fromkeys(keys)
        self._ahead |= found

    def look_no_further(self) -> None:
        """Nothing: other blocks of this worker may still ask for what was looked up."""

    def get(self, key: bytes) -> bytes | None:
        if key in self._ahead:
            return self._ahead.pop(key)
        found: dict[bytes, bytes] = answered(lambda: self._keeper.find.remote([key]))
        return found.get(key)

    def forget(self, key: bytes) -> None:
        answered(lambda: self._keeper.forget.remote(key))

    def rung(self, schema: bytes) -> int:
        return int(answered(lambda: self._keeper.rung.remote(schema)))

    def remember_rung(self, schema: bytes, rung: int) -> None:
        answered(lambda: self._keeper.remember_rung.remote(schema, rung))

    async def keep(self, key: bytes, interaction: bytes, *, rung: int = 0) -> None:
        self._ahead.pop(key, None)
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(((key, interaction, rung), kept))
        self._send()
        await kept

    def note(self, attempt: Attempt) -> None:
        self._noted.append(attempt)
        self._send()

    def _send(self) -> None:
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        """Send group after group: what comes while one is on its way goes with the next."""
        while self._pending or self._noted:
            await asyncio.sleep(0)  # so that all of this turn go together
            group, self._pending = self._pending, []
            noted, self._noted = self._noted, []
            self._groups += 1
            failure: OutputError | None = None
            try:
                await self._keeper.keep.remote(self._worker, self._groups, [one for one, _ in group], noted)
            except RayError as error:
                failure = OutputError(str(raised(error)))
            for _, kept in group:
                if kept.done():
                    continue
                if failure is None:
                    kept.set_result(None)
                else:
                    kept.set_exception(failure)
        self._sending = None
