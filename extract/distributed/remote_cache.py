"""A worker's view of its run's one cache: looked up block by block, written in groups, durable before it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from ray.exceptions import RayError

from extract.distributed.actors import Answer, raised
from extract.errors import OutputError
from extract.interactions.interaction import Interaction
from extract.interactions.usage import Attempt

__all__ = ["RemoteAnswers"]


class RemoteAnswers:
    """Answers that another process keeps. To be used in one event loop, which it never holds up.

    `rungs` are those that the cache knows, by their schemas. A call that the keeper could not answer is repeated by Ray
    until it is back; meanwhile slots stay taken.
    """

    def __init__(self, worker: str, keeper: Any, rungs: dict[bytes, int]) -> None:
        self.flying: dict[bytes, asyncio.Future[Interaction]] = {}
        self._worker, self._keeper, self._rungs = worker, keeper, rungs
        self._ahead: dict[bytes, bytes | None] = {}
        self._looks: list[set[bytes]] = []
        self._pending: list[tuple[Answer, asyncio.Future[None]]] = []
        self._noted: list[Attempt] = []
        self._groups = 0
        self._sending: asyncio.Task[None] | None = None

    async def fetch_ahead(self, keys: Sequence[bytes]) -> None:
        self._ahead |= await self._look(keys)

    def look_no_further(self) -> None:
        """Nothing: other blocks of this worker may still ask for what was looked up."""

    async def fetch(self, key: bytes) -> bytes | None:
        while key not in self._ahead:
            self._ahead |= await self._look([key])
        return self._ahead.pop(key)

    async def _look(self, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """Look keys up, but for those that this worker keeps meanwhile: what comes back may be older than that."""
        kept: set[bytes] = set()
        self._looks.append(kept)
        try:
            found = await self._keeper.find.remote(list(keys))
        except RayError as error:
            raise raised(error) from None
        finally:
            self._looks = [look for look in self._looks if look is not kept]
        return {key: found.get(key) for key in keys if key not in kept}

    def forget(self, key: bytes) -> None:
        self._keeper.forget.remote(key)

    def rung(self, schema: bytes) -> int:
        return self._rungs.get(schema, 0)

    def remember_rung(self, schema: bytes, rung: int) -> None:
        self._rungs[schema] = rung
        self._keeper.remember_rung.remote(schema, rung)

    async def keep(self, key: bytes, interaction: bytes, *, rung: int = 0) -> None:
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append(((key, interaction, rung), kept))
        self._send()
        await kept
        self._ahead.pop(key, None)
        for look in self._looks:
            look.add(key)

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
            failure = await self._sent([answer for answer, _ in group], noted)
            for _, kept in group:
                if kept.done():
                    continue
                if failure is None:
                    kept.set_result(None)
                else:
                    kept.set_exception(failure)
        self._sending = None

    async def _sent(self, answers: list[Answer], attempts: list[Attempt]) -> OutputError | None:
        """Hand a group in; return why it could not be kept. Whatever goes wrong: who waits for it must hear of it."""
        try:
            await self._keeper.keep.remote(self._worker, self._groups, answers, attempts)
        except RayError as error:
            return OutputError(str(raised(error)))
        except Exception as error:
            return OutputError(f"answers could not be handed in: {type(error).__name__}: {error}")
        return None
