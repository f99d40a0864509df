"""Answers by content key: from the store, from an equal request in flight, or asked for; each is paid for once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from extract.documents.parts import Turn
from extract.errors import ORDERS, ExtractError, OutputError, Unreachable, unforeseen
from extract.interactions.dialects import decode, encode
from extract.interactions.interaction import Interaction
from extract.io.cache.answer_store import AnswerStore
from extract.io.cache.sharing import Sharing
from extract.runner.fallbacks import SchemaLadder
from extract.runner.request import Send, SendMode
from extract.runner.state import RunState
from extract.runner.stops import ENDS_RUN
from extract.runner.trace import RecordTrace

__all__ = ["Answers"]


@dataclass(slots=True, eq=False)
class Answers:
    """The answers of a run by content key. Equal requests share one answer, also between runs that share a store.

    `service` is who gives them, as it stands in their keys. `release` gives back the slot that a record's answer still
    holds. `rejected` are the keys of answers that this run has found invalid.
    """

    send: Send
    service: str
    release: Callable[[RecordTrace], None]
    ladder: SchemaLadder
    state: RunState
    store: AnswerStore | None = None
    rejected: set[bytes] = field(default_factory=set)
    _flying: dict[bytes, asyncio.Future[Interaction]] = field(default_factory=dict, init=False)

    _sharing: Sharing | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.store is not None:
            self._flying, self._sharing = self.store.flying, self.store.sharing

    async def prefetch(self, keys: Sequence[bytes]) -> None:
        """Look up together what `get` will be called with soon."""
        # Where others store answers meanwhile, each is looked up when its turn comes.
        if self.store is not None and keys and not (self._sharing and self._sharing.active):
            with suppress(OutputError):  # the lookup of a single record reports it, and ends the run in good order
                await self.store.prefetch(keys)

    def clear_prefetch(self) -> None:
        """Forget what was looked up and will not be asked for any more."""
        if self.store is not None:
            self.store.clear_prefetch()

    async def get(self, key: bytes, turns: Sequence[Turn], mode: SendMode, trace: RecordTrace) -> Interaction:
        """Return the interaction for one request: stored, in flight for an equal one, or sent now."""
        # In flight first: an answer is in the store before its future is resolved.
        while (flying := self._flying.get(key)) is not None:
            trace.joined = True
            await asyncio.wait((flying,))  # unlike a shield, it never takes the other's cancellation for its own
            if not flying.cancelled():
                return flying.result()
        if (stored := await self.stored(key)) is not None:
            trace.reused = True
            return stored
        if key in self._flying:  # an equal record has begun to ask while this one was looked up
            return await self.get(key, turns, mode, trace)
        return await self._lead(key, turns, mode, trace)

    async def stored(self, key: bytes) -> Interaction | None:
        """Return an interaction from the store; None where there is none, or it cannot be read."""
        if self.store is None or (text := await self.store.fetch(key)) is None:
            return None
        try:
            return decode(text)
        except Unreachable:  # damaged on disk
            self.store.forget(key)
            return None

    async def _lead(self, key: bytes, turns: Sequence[Turn], mode: SendMode, trace: RecordTrace) -> Interaction:
        """Send on behalf of all records that need this very request."""
        flying = self._flying[key] = asyncio.get_running_loop().create_future()
        sharing = self._sharing
        try:
            others = sharing if sharing is not None and sharing.active else None
            interaction = None if others is None else await self._claimed(others, key, trace)
            if interaction is None:
                if mode.kind == "repair" and mode.limit is None:  # a larger limit is one more try of the same
                    trace.repairs += 1
                trace.key = key
                try:
                    interaction = await self.send(turns, mode, trace)
                    await self._keep(key, interaction)  # before anybody judges it: it is paid for
                finally:
                    self.release(trace)  # only now: a kill loses no more answers than there are slots
                await asyncio.sleep(0)  # who got the slot sends first; this answer is looked into while that one waits
        except ENDS_RUN:
            flying.cancel()  # the end of this run is none for a record of another
            raise
        except ExtractError as error:
            flying.set_exception(error)
            flying.exception()  # marks it as seen: nobody else may be waiting
            raise
        except BaseException:
            flying.cancel()
            raise
        finally:
            del self._flying[key]
            if sharing is not None and sharing.active:
                sharing.release(key)
        flying.set_result(interaction)
        return interaction

    async def _claimed(self, sharing: Sharing, key: bytes, trace: RecordTrace) -> Interaction | None:
        """Claim a request among the processes that share the store, or return what one of them has stored meanwhile.

        While another one asks, this record waits without a slot. Where that one fails or dies, this one asks.
        """
        if (claimed := sharing.claim(key)) is not None:
            await self.state.limiter.sleep_until(claimed)
        if (stored := await self.stored(key)) is not None:
            trace.joined = True
        return stored

    async def _keep(self, key: bytes, interaction: Interaction) -> None:
        if self.store is None:
            return
        try:
            await self.store.keep(key, encode(interaction), rung=self.ladder.rung, service=self.service)
        except ORDERS:
            raise
        except BaseException as error:
            self.state.stop(unforeseen(error, "an answer cannot be kept"))  # the one in hand still counts
