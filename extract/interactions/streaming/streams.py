"""A streamed answer as it is read: for scripts with `for`, in event loops with `async for`."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from pydantic_core import from_json

from extract.interactions.http.calls import Call, Sleep
from extract.interactions.http.drivers import drive, drive_async
from extract.interactions.interaction import Interaction
from extract.interactions.streaming.events import Event, TextPiece
from extract.interactions.streaming.operation import Open, Streaming, StreamOrder, next_event
from extract.interactions.streaming.state import StreamState

__all__ = ["AsyncEventStream", "AsyncOpened", "EventStream", "Opened"]

_GROWING_NUMBER = re.compile(r"([,:\[])\s*-?[\d.eE+-]+$")  # inside a text it only lags a little behind


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection that answers with bytes as they come."""

    chunks: Iterator[bytes]
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class AsyncOpened:
    """`Opened` for an event loop."""

    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]


class _Progress:
    """What both kinds of streams show of an answer while it comes."""

    _state: StreamState

    @property
    def interaction(self) -> Interaction:
        """The answer as far as it has come; at the end that of a plain call."""
        return self._state.interaction

    @property
    def text(self) -> str:
        """The answer's text as far as it has come."""
        return self._state.text

    @property
    def partial(self) -> Any:
        """The value of a structured answer as far as it has come; None before it begins.

        The JSON is closed where it breaks off. Texts grow; a number shows once it is whole. Nothing is validated: see
        `parse` for the whole answer.
        """
        try:
            return from_json(_GROWING_NUMBER.sub(r"\1", self.text), allow_partial="trailing-strings")
        except ValueError:
            return None

    @property
    def last_event_id(self) -> str:
        """What `follow` can go on from, later and elsewhere."""
        return self._state.last_event_id


class EventStream(_Progress):
    """Iterate for events; the connection is opened by the first and closed with the `with` block or at the end."""

    def __init__(
        self,
        streaming: Streaming,
        state: StreamState,
        *,
        connect: Callable[[Call], Opened],
        sleep: Callable[[float], None],
    ) -> None:
        self._state = state
        self._connect, self._sleep = connect, sleep
        self._opened: Opened | None = None
        self._events = self._run(streaming)

    def texts(self) -> Iterator[str]:
        """Yield the pieces of the answer's text."""
        return (event.text for event in self if isinstance(event, TextPiece))

    def finish(self) -> Interaction:
        """Read to the end and return the whole answer."""
        for _ in self:
            pass
        return self.interaction

    def _run(self, streaming: Streaming) -> Generator[Event, None, None]:
        try:
            while (event := drive(next_event(streaming), self._perform)) is not None:
                yield event
        finally:
            self._hang_up()

    def _perform(self, order: StreamOrder) -> bytes | None:
        if isinstance(order, Sleep):
            self._sleep(order.seconds)
        elif isinstance(order, Open):
            self._hang_up()
            self._opened = self._connect(order.call)
        elif self._opened is not None:
            return next(self._opened.chunks, None)
        return None

    def _hang_up(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def close(self) -> None:
        """Close the connection, wherever the stream is."""
        self._events.close()

    def __iter__(self) -> Iterator[Event]:
        return self._events

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncEventStream(_Progress):
    """`EventStream` for an event loop: `async with`, `async for`."""

    def __init__(
        self,
        streaming: Streaming,
        state: StreamState,
        *,
        connect: Callable[[Call], Awaitable[AsyncOpened]],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._state = state
        self._connect, self._sleep = connect, sleep
        self._opened: AsyncOpened | None = None
        self._events = self._run(streaming)

    async def texts(self) -> AsyncIterator[str]:
        """Yield the pieces of the answer's text."""
        async for event in self:
            if isinstance(event, TextPiece):
                yield event.text

    async def finish(self) -> Interaction:
        """Read to the end and return the whole answer."""
        async for _ in self:
            pass
        return self.interaction

    async def _run(self, streaming: Streaming) -> AsyncGenerator[Event, None]:
        try:
            while (event := await drive_async(next_event(streaming), self._perform)) is not None:
                yield event
        finally:
            await self._hang_up()

    async def _perform(self, order: StreamOrder) -> bytes | None:
        if isinstance(order, Sleep):
            await self._sleep(order.seconds)
        elif isinstance(order, Open):
            await self._hang_up()
            self._opened = await self._connect(order.call)
        elif self._opened is not None:
            return await anext(self._opened.chunks, None)
        return None

    async def _hang_up(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def aclose(self) -> None:
        """Close the connection, wherever the stream is."""
        await self._events.aclose()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
