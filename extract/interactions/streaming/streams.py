"""Streamed answers: a protocol that opens, reads, goes on after a cut and follows continuations; two clients' drivers.

Wire facts that are open (reference, section I) are met with tolerance: a stream may end with `[DONE]` or plainly, a
service that gives up may send an error event or a JSON body in its place, and an answer may come whole as plain JSON.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import quote

from pydantic_core import from_json, to_json

from extract.errors import BadRequest, Denied, ExtractError, RateLimited, Unreachable
from extract.interactions.dialects import NO_STATUS, from_raw, merge
from extract.interactions.failures import refusal_in_stream
from extract.interactions.http.calls import Call, Sleep
from extract.interactions.interaction import Interaction
from extract.interactions.operations import CREATE_PATH, FINISHED, MOST_HOPS, interaction_path, next_hop, unknown
from extract.interactions.streaming.events import (
    Accumulator,
    ArgumentsPiece,
    Completed,
    ErrorEvent,
    Event,
    MediaPiece,
    OtherPiece,
    StepStarted,
    StepStopped,
    TextPiece,
    ThoughtPiece,
    read_event,
)
from extract.interactions.streaming.sse import SseParser
from extract.json_types import JsonObject

__all__ = ["AsyncEventStream", "AsyncOpened", "EventStream", "Heard", "Open", "Opened", "Read", "follow", "listen"]

STREAM_HEADERS = {"accept": "text/event-stream"}
_MOST_CUTS = 5  # in a row, without an event between them
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
_GROWING_NUMBER = re.compile(r"([,:\[])\s*-?[\d.eE+-]+$")  # inside a text it only lags a little behind
_INDEXED = (StepStarted, TextPiece, ThoughtPiece, ArgumentsPiece, MediaPiece, OtherPiece, StepStopped)


@dataclass(frozen=True, slots=True)
class Open:
    """An order to open a connection; the one before is closed."""

    call: Call


@dataclass(frozen=True, slots=True)
class Read:
    """An order for the next bytes; None is the end."""


Order: TypeAlias = Open | Read | Sleep | Event
Listening: TypeAlias = Generator[Order, bytes | None, Interaction]


class Heard:
    """What has come of a stream so far, over all its connections and hops."""

    def __init__(self, scrub: Callable[[bytes], bytes]) -> None:
        self.events = 0
        self.last_event_id = ""
        self.hop = Accumulator()
        self.hops = 0
        """How many were begun after the first."""
        self.sent: str | None = None
        """The token that the present hop goes on from."""
        self._scrub = scrub
        self._earlier: Interaction | None = None
        self._offset = 0
        self._given = 0  # events of the present hop
        self._again: Accumulator | None = None  # what a replay adds up to, until it has caught up
        self._replayed = 0

    @property
    def begun(self) -> bool:
        """Whether anything of the present hop has come."""
        return self._given > 0

    @property
    def interaction(self) -> Interaction:
        """The answer as far as it has come; at the end that of a plain call."""
        now = self.hop.interaction()
        return merge(self._earlier, now) if self._earlier is not None else now

    @property
    def text(self) -> str:
        return self.hop.text if self._earlier is None else self.interaction.text

    def take(self, event: Event) -> Iterator[Event]:
        """Add an event, and yield it with an index that is the step's over all hops, unless it was given before."""
        if self._again is not None and self._is_behind(self._again, event):
            return
        self.events += 1
        self._given += 1
        self.last_event_id = event.id or self.last_event_id
        self.hop.add(event)
        if self._offset and isinstance(event, _INDEXED):
            event = replace(event, index=event.index + self._offset)
        yield event

    def _is_behind(self, again: Accumulator, event: Event) -> bool:
        """Add an event to the replay where it is of what was given before; else the replay takes the place of that."""
        if self._replayed < self._given and not isinstance(event, Completed):
            self._replayed += 1
            again.add(event)
            return True
        self.hop, self._again = again, None
        return False

    def begin_again(self) -> None:
        """Expect the present hop's events from the first on: their number tells which of them are new."""
        self._again, self._replayed = Accumulator(), 0

    def refusal(self, error: JsonObject) -> ExtractError:
        """Return what an error in place of events stands for."""
        try:
            return refusal_in_stream(from_json(self._scrub(to_json(error))))
        except ValueError:  # a key so short that it stood for a part of the JSON itself
            return refusal_in_stream({})

    def begin_hop(self, token: str) -> None:
        """Keep what has come, and listen beside it to what goes on from a token."""
        self._earlier = self.interaction
        self._offset += len(self.hop)
        self.hop, self._again = Accumulator(), None
        self.hops += 1
        self.sent = token
        self._given = 0
        self.last_event_id = ""


def listen(
    body: bytes, heard: Heard, *, stored: bool, timeout: float | None = None, parent: str | None = None
) -> Listening:
    """Ask for a stream and follow it to its end: over cuts where the service keeps the interaction, and over hops.

    `parent` is the id that the body goes on from, as in `create`.
    """
    try:
        return (yield from _hops(body, heard, stored=stored, timeout=timeout))
    except Denied as error:
        raise (unknown(parent, error) if parent else error) from None


def _hops(body: bytes, heard: Heard, *, stored: bool, timeout: float | None) -> Listening:
    call = Call("POST", CREATE_PATH, body, headers=STREAM_HEADERS, timeout=timeout)
    while True:
        yield from _hop(call, heard, stored=stored)
        last = heard.hop.interaction()
        token = last.continuation_token
        if last.status != "requires_continuation" or not token or token == heard.sent or heard.hops >= MOST_HOPS:
            return heard.interaction
        call = replace(call, body=next_hop(body, last, token))
        heard.begin_hop(token)


def follow(interaction_id: str, heard: Heard, *, last_event_id: str | None = None) -> Listening:
    """Listen to a stored interaction: from its beginning, or from after an event that was seen before."""
    heard.last_event_id = last_event_id or ""
    try:
        yield from _hop(_resumed(interaction_path(interaction_id), last_event_id), heard, stored=True)
    except Denied as error:
        raise unknown(interaction_id, error) from None
    return heard.interaction


def _resumed(path: str, last_event_id: str | None) -> Call:
    query = f"&last_event_id={quote(last_event_id, safe='')}" if last_event_id else ""
    return Call("GET", f"{path}?stream=true{query}", headers=STREAM_HEADERS)


def _hop(first: Call, heard: Heard, *, stored: bool) -> Generator[Order, bytes | None, None]:
    """Hear one interaction to its end. A cut is mended up to five times in a row without progress.

    Progress is a place to go on from that was not known before: events alone may be the same ones for ever. Opening
    has retries of its own: where they were in vain, what was lost is told.
    """
    call, cuts = first, 0
    lost: ExtractError | None = None
    while True:
        before, opened = _place(heard, stored=stored), False
        try:
            yield Open(call)
            opened = True
            yield from _connection(heard)
            return
        except (Unreachable, RateLimited) as error:
            cuts = 1 if _place(heard, stored=stored) != before else cuts + 1
            onward = _onward(first, heard, stored=stored) if opened and cuts <= _MOST_CUTS else None
            if onward is None:
                raise (error if opened else lost or error) from None
            if not heard.begun:  # a hop that goes on from a checkpoint is asked again as such
                first = onward
            call, lost = onward, error
            yield Sleep(_wait(cuts, error))
        except (BadRequest, Denied) as error:
            raise (error if opened else lost or error) from None


def _place(heard: Heard, *, stored: bool) -> str | None:
    """Return what a stream can go on from."""
    return heard.last_event_id if stored else heard.hop.checkpoint


def _wait(cuts: int, error: Unreachable | RateLimited) -> float:
    asked = error.retry_after if isinstance(error, RateLimited) else None
    return min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (cuts - 1)) if asked is None else asked


def _onward(first: Call, heard: Heard, *, stored: bool) -> Call | None:
    """Return the call that goes on after a cut, or None where what came cannot be joined to anything.

    What has not begun to answer is asked again. A stream that is not stored is gone, but for a checkpoint that nothing
    has come after.
    """
    if first.method == "GET" or not heard.begun:
        path = first.path.partition("?")[0]
    elif stored and heard.hop.id:
        path = interaction_path(heard.hop.id)
    else:
        return None if stored else _from_checkpoint(first, heard)
    if heard.last_event_id:
        return _resumed(path, heard.last_event_id)
    heard.begin_again()
    return _resumed(path, None) if heard.begun else first


def _from_checkpoint(first: Call, heard: Heard) -> Call | None:
    """Return the call that goes on from a token as a hop of its own; None where there is none that is new."""
    token = heard.hop.checkpoint
    if not token or token == heard.sent or heard.hops >= MOST_HOPS:
        return None
    call = replace(first, body=next_hop(first.body, heard.hop.interaction(), token))
    heard.begin_hop(token)
    return call


def _connection(heard: Heard) -> Generator[Order, bytes | None, None]:
    """Hear one connection. Raises Unreachable where it ends before the interaction does."""
    parser = SseParser()
    try:
        done = yield from _frames(parser, heard)
    except Unreachable:
        if heard.hop.completed:  # only the end mark is missing
            return
        raise
    if parser.stray and not heard.hop.completed:
        yield from heard.take(_whole(parser.stray, heard))
    if not heard.hop.completed and not (done and heard.hop.interaction().status in FINISHED):
        raise Unreachable(f"the stream broke off after {heard.events} events")


def _frames(parser: SseParser, heard: Heard) -> Generator[Order, bytes | None, bool]:
    """Hear the events of a connection to its end, and return whether that was marked."""
    seen: str | None = heard.last_event_id  # a service may repeat the event that the stream is to go on after
    while True:
        chunk = yield Read()
        for frame in parser.feed(chunk) if chunk is not None else parser.close():
            if frame.data.strip() == b"[DONE]":
                return True
            event = read_event(frame)
            if isinstance(event, ErrorEvent):
                raise heard.refusal(event.error)
            if not event.id or event.id != seen:
                yield from heard.take(event)
            seen = None
        if chunk is None:
            return False


def _whole(body: bytes, heard: Heard) -> Completed:
    """Return the end that a plain JSON body in place of events stands for. Raises what an error body stands for."""
    try:
        raw: Any = from_json(body)
    except ValueError:
        raise Unreachable("the stream broke off in the middle of a body that is no event") from None
    if isinstance(raw, list):
        raw = raw[0] if raw else None
    if not isinstance(raw, dict):
        raise Unreachable("the stream holds a body that is no event")
    if isinstance(raw.get("error"), dict):
        raise heard.refusal(raw["error"])
    whole = from_raw(raw)
    if whole.status == NO_STATUS:
        raise Unreachable("the stream holds a body that is neither an event nor an answer")
    told: JsonObject = {"event_type": "interaction.completed", "interaction": raw | {"status": whole.status}}
    return Completed(interaction=whole, raw=told)


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

    _heard: Heard

    @property
    def interaction(self) -> Interaction:
        """The answer as far as it has come; at the end that of a plain call."""
        return self._heard.interaction

    @property
    def text(self) -> str:
        """The answer's text as far as it has come."""
        return self._heard.text

    @property
    def partial(self) -> Any:
        """The value of a structured answer as far as it has come: JSON with its ends put to it; None before it begins.

        Texts grow; a number shows once it is whole. Nothing is validated: see `parse` for the whole answer.
        """
        try:
            return from_json(_GROWING_NUMBER.sub(r"\1", self.text), allow_partial="trailing-strings")
        except ValueError:
            return None

    @property
    def last_event_id(self) -> str:
        """What `follow` can go on from, later and elsewhere."""
        return self._heard.last_event_id


class EventStream(_Progress):
    """Iterate for events; the connection is opened by the first and closed with the `with` block or at the end."""

    def __init__(
        self,
        protocol: Listening,
        heard: Heard,
        *,
        connect: Callable[[Call], Opened],
        sleep: Callable[[float], None],
    ) -> None:
        self._heard = heard
        self._connect, self._sleep = connect, sleep
        self._opened: Opened | None = None
        self._events = self._run(protocol)

    def texts(self) -> Iterator[str]:
        """Yield the pieces of the answer's text."""
        return (event.text for event in self if isinstance(event, TextPiece))

    def finish(self) -> Interaction:
        """Read to the end and return the whole answer."""
        for _ in self:
            pass
        return self.interaction

    def _run(self, protocol: Listening) -> Generator[Event, None, None]:
        try:
            order = next(protocol)
            while True:
                if isinstance(order, Event):
                    yield order
                try:
                    chunk = self._obey(order)
                except ExtractError as error:
                    order = protocol.throw(error)
                else:
                    order = protocol.send(chunk)
        except StopIteration:
            return
        finally:
            self._hang_up()

    def _obey(self, order: Order) -> bytes | None:
        if isinstance(order, Sleep):
            self._sleep(order.seconds)
        elif isinstance(order, Open):
            self._hang_up()
            self._opened = self._connect(order.call)
        elif isinstance(order, Read) and self._opened is not None:
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
        protocol: Listening,
        heard: Heard,
        *,
        connect: Callable[[Call], Awaitable[AsyncOpened]],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._heard = heard
        self._connect, self._sleep = connect, sleep
        self._opened: AsyncOpened | None = None
        self._events = self._run(protocol)

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

    async def _run(self, protocol: Listening) -> AsyncGenerator[Event, None]:
        try:
            order = next(protocol)
            while True:
                if isinstance(order, Event):
                    yield order
                try:
                    chunk = await self._obey(order)
                except ExtractError as error:
                    order = protocol.throw(error)
                else:
                    order = protocol.send(chunk)
        except StopIteration:
            return
        finally:
            await self._hang_up()

    async def _obey(self, order: Order) -> bytes | None:
        if isinstance(order, Sleep):
            await self._sleep(order.seconds)
        elif isinstance(order, Open):
            await self._hang_up()
            self._opened = await self._connect(order.call)
        elif isinstance(order, Read) and self._opened is not None:
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
