"""One cache, several processes: each answer is asked for by one of them, and the others wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from extract.errors import ORDERS, ConfigError, ExtractError, unforeseen
from extract.io.cache.claims import Claims
from extract.io.exclusive import Exclusive
from extract.io.locks import LocksUnavailable

__all__ = ["LOOK_SECONDS", "MAX_KNOCKS", "Sharing", "whole_cache"]

LOOK_SECONDS = 0.1
MAX_KNOCKS = 50  # looks at the gate before its holder counts as stopped


@contextmanager
def whole_cache(cache: Path) -> Iterator[None]:
    """Hold a cache that is shared with nobody, as that of a cluster. OutputError where another run uses it."""
    with ExitStack() as stack:
        try:
            claims = Claims(cache)
            stack.callback(claims.close)
            claims.keep_whole()
        except LocksUnavailable:
            stack.enter_context(Exclusive(cache, "the cache")).take()
        yield


class Sharing:
    """What a cache knows of other processes that use it. `active` is True once there are some.

    Nothing is opened before a run has `joined`. Where files cannot be locked in parts, the cache is held as a whole,
    and a second run with it is refused. `on_active` is called when the first other process appears.
    """

    def __init__(self, cache: Path, in_flight: Mapping[bytes, Any], on_active: Callable[[], None]) -> None:
        self.active: bool = False
        self._cache, self._in_flight, self._on_active = cache, in_flight, on_active
        self._claims: Claims | None = None
        self._exclusive: Exclusive | None = None
        self._users = 0
        self._entry: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._failure: ExtractError | None = None

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Use the cache while the context lasts, together with other processes and other runs of this event loop.

        OutputError where that cannot be, ConfigError where runs of another event loop use this very object.
        """
        if self._entry is not None and self._entry.get_loop() is not asyncio.get_running_loop():
            raise ConfigError("a ResponseCache is for one thread at a time: give each run the path of the cache")
        self._users += 1
        try:
            if self._entry is None:
                self._entry = asyncio.create_task(self._enter())
            await asyncio.shield(self._entry)
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._leave()

    def claim(self, key: bytes) -> asyncio.Future[None] | None:
        """Claim a request. Returns what is done once it is claimed, None where it is already."""
        if self._failure is not None:
            raise self._failure
        if self._claims is None or self._claims.claim(key):
            return None
        waiter = self._waiting[key] = asyncio.get_running_loop().create_future()
        return waiter

    def release(self, key: bytes) -> None:
        """Give a claim back, or wait for it no longer."""
        self._waiting.pop(key, None)
        if self._claims is not None:
            self._claims.release(key)

    async def _enter(self) -> None:
        try:
            self._claims = Claims(self._cache)
        except LocksUnavailable:
            self._exclusive = Exclusive(self._cache, "the cache")
            self._exclusive.take()
        else:
            await self._pass_gate(self._claims)
            self._watch = asyncio.create_task(self._keep_looking(self._claims))

    async def _pass_gate(self, claims: Claims) -> None:
        for _ in range(MAX_KNOCKS):
            if claims.enter():
                break
            await asyncio.sleep(LOOK_SECONDS)
        else:
            claims.enter_uninvited()
        self._follow(claims)

    async def _keep_looking(self, claims: Claims) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self._look(claims)
            except ORDERS:
                raise
            except BaseException as error:  # nobody else tells those who wait
                self._fail(unforeseen(error, f"the cache {self._cache} cannot be shared"))
                return

    def _look(self, claims: Claims) -> None:
        claims.look(self._in_flight)
        self._follow(claims)
        for key, waiter in list(self._waiting.items()):
            if waiter.done():
                del self._waiting[key]
            elif claims.claim(key):
                del self._waiting[key]
                waiter.set_result(None)

    def _follow(self, claims: Claims) -> None:
        if not claims.alone and not self.active:
            self.active = True
            self._on_active()

    def _fail(self, error: ExtractError) -> None:
        self._failure = error
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # marks it as seen: a run that ends at this moment does not look
        self._waiting.clear()

    def _leave(self) -> None:
        for task in (self._entry, self._watch):
            if task is not None:
                task.cancel()
        self._entry = self._watch = self._failure = None
        self.active = False
        self._waiting.clear()
        if self._claims is not None:
            self._claims.close()
        if self._exclusive is not None:
            self._exclusive.close()
        self._claims = self._exclusive = None
