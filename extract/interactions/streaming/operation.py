"""The operation behind a streamed answer: open, read, go on after a cut, follow continuations.

What the API's pages leave open is read with tolerance: a stream may end with `[DONE]` or without, a service that gives
up may send an error event or a JSON body in its place, and an answer may come whole as plain JSON.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import quote

from pydantic_core import from_json
from tenacity.stop import stop_after_attempt

from extract.errors import BadRequest, Denied, ExtractError, RateLimited, Unreachable
from extract.interactions.dialects import NO_STATUS, from_raw
from extract.interactions.http.calls import Call, Operation, Sleep, once
from extract.interactions.http.retrying import Backoff, Retry, with_retries
from extract.interactions.interaction import Interaction
from extract.interactions.operations import CREATE_PATH, FINISHED, MAX_HOPS, interaction_path, next_hop, unknown
from extract.interactions.streaming.events import Completed, ErrorEvent, Event, StatusChanged, read_event
from extract.interactions.streaming.sse import SseParser
from extract.interactions.streaming.state import StreamState
from extract.json_types import JsonObject

__all__ = ["Open", "Read", "StreamOrder", "Streaming", "follow", "next_event", "stream"]

STREAM_HEADERS = {"accept": "text/event-stream"}
_MAX_CUTS = 5  # in a row, without an event between them
_AFTER_CUT = Retry(failures=_MAX_CUTS + 1, first_wait=0.5, longest_wait=8.0, patience=math.inf)


@dataclass(frozen=True, slots=True)
class Open:
    """An order to open a connection; the one before is closed."""

    call: Call


@dataclass(frozen=True, slots=True)
class Read:
    """An order for the next bytes; None is the end."""


StreamOrder: TypeAlias = Open | Read | Sleep
Streaming: TypeAlias = Operation[StreamOrder | Event, Interaction]
"""An operation that also yields events, which are for whoever iterates over the stream."""


def next_event(streaming: Streaming) -> Operation[StreamOrder, Event | None]:
    """Run a stream up to its next event and return that; None at its end."""
    try:
        order = next(streaming)
        while not isinstance(order, Event):
            try:
                reply = yield order
            except ExtractError as error:
                order = streaming.throw(error)
            else:
                order = streaming.send(reply)
    except StopIteration:
        return None
    return order


def stream(
    body: bytes,
    state: StreamState,
    retry: Retry,
    *,
    stored: bool,
    timeout: float | None = None,
    parent: str | None = None,
) -> Streaming:
    """Create an interaction and stream it to its end: over cuts where the service stores it, and over hops.

    `parent` is the id that the body goes on from, as in `create`.
    """
    try:
        return (yield from _all_hops(body, state, retry, stored=stored, timeout=timeout))
    except Denied as error:
        raise (unknown(parent, error) if parent else error) from None


def _all_hops(body: bytes, state: StreamState, retry: Retry, *, stored: bool, timeout: float | None) -> Streaming:
    call = Call("POST", CREATE_PATH, body, headers=STREAM_HEADERS, timeout=timeout)
    while True:
        yield from _hop(call, state, retry, stored=stored)
        last = state.hop.interaction()
        token = last.continuation_token
        # A token that comes again would repeat the hop that it began: the chain ends as the service left it.
        if last.status != "requires_continuation" or not token or token == state.token or state.hops >= MAX_HOPS:
            return state.interaction
        call = replace(call, body=next_hop(body, last, token))
        state.begin_hop(token)


def follow(interaction_id: str, state: StreamState, retry: Retry, *, last_event_id: str | None = None) -> Streaming:
    """Stream a stored interaction: from its beginning, or from after an event that was seen before."""
    state.last_event_id = last_event_id or ""
    try:
        yield from _hop(_resumed(interaction_path(interaction_id), last_event_id), state, retry, stored=True)
    except Denied as error:
        raise unknown(interaction_id, error) from None
    return state.interaction


def _resumed(path: str, last_event_id: str | None) -> Call:
    query = f"&last_event_id={quote(last_event_id, safe='')}" if last_event_id else ""
    return Call("GET", f"{path}?stream=true{query}", headers=STREAM_HEADERS)


def _hop(first: Call, state: StreamState, retry: Retry, *, stored: bool) -> Operation[StreamOrder | Event, None]:
    """Stream one interaction to its end. A cut is mended up to five times in a row without progress.

    Progress is a new place to go on from: events alone may be the same ones for ever. Opening a connection has the
    retries of any call; where they fail too, the error raised is the cut that they were to mend.
    """
    call = first
    lost: ExtractError | None = None
    backoff = _after_cut()
    while True:
        place, opened = state.place(stored=stored), False
        try:
            yield from with_retries(partial(once, Open(call)), retry)
            opened = True
            yield from _connection(state)
            return
        except (Unreachable, RateLimited) as error:
            if not opened:  # `with_retries` has given up already
                raise lost or error from None
            # The place, not the event count: a service that repeats the same events for ever must not look alive.
            if state.place(stored=stored) != place:
                backoff = _after_cut()
            wait = backoff.after(error)  # before `_onward`, which changes the state: giving up must leave what came
            onward = _onward(first, state, stored=stored)
            if onward is None:
                raise error from None
            if not state.begun:  # a hop that goes on from a checkpoint is created again as such
                first = onward
            call, lost = onward, error
            yield wait
        except (BadRequest, Denied) as error:
            # Not to be able to resume says less about what went wrong than the cut that came before it.
            raise (error if opened else lost or error) from None


def _after_cut() -> Backoff:
    """Return the backoff between cuts: without jitter, and throttles count as any other cut."""
    return Backoff(_AFTER_CUT, uniform=lambda _, longest: longest, stop=stop_after_attempt(_MAX_CUTS + 1))


def _onward(first: Call, state: StreamState, *, stored: bool) -> Call | None:
    """Return the call that goes on after a cut, or None where what came cannot be joined to anything.

    A hop of which nothing has come is created again. A stream that is not stored is lost, but for a checkpoint that
    nothing has come after.
    """
    # Resuming goes by GET; the POST of a hop without events has created nothing that is known, and is sent again.
    if first.method == "GET" or not state.begun:
        path = first.path.partition("?")[0]
    elif stored and state.hop.id:
        path = interaction_path(state.hop.id)
    else:
        return None if stored else _from_checkpoint(first, state)
    if state.last_event_id:
        return _resumed(path, state.last_event_id)
    # Without an event to go on after, the service sends all events of the interaction again.
    state.expect_replay()
    return _resumed(path, None) if state.begun else first


def _from_checkpoint(first: Call, state: StreamState) -> Call | None:
    """Return the call that goes on from a token as a hop of its own; None where there is none that is new."""
    token = state.hop.checkpoint
    if not token or token == state.token or state.hops >= MAX_HOPS:
        return None
    call = replace(first, body=next_hop(first.body, state.hop.interaction(), token))
    state.begin_hop(token)
    return call


def _connection(state: StreamState) -> Operation[StreamOrder | Event, None]:
    """Read one connection. Raises Unreachable where it ends before the interaction does."""
    parser = SseParser()
    try:
        done = yield from _frames(parser, state)
    except Unreachable:
        # The answer is complete with its last event; a cut after that concerns only the end mark.
        if state.hop.completed:
            return
        raise
    if parser.stray and not state.hop.completed:
        yield from state.add(_whole(parser.stray, state))
    if not state.hop.completed and not (done and state.hop.interaction().status in FINISHED):
        raise Unreachable(f"the stream broke off after {state.events} events")


def _frames(parser: SseParser, state: StreamState) -> Operation[StreamOrder | Event, bool]:
    """Read the events of a connection to its end, and return whether that was marked.

    An interaction that is idle waits for its client: its connection may stay open for ever.
    """
    seen: str | None = state.last_event_id  # a service may repeat the event that the stream goes on after
    idle = False
    while not idle:
        chunk: bytes | None = yield Read()
        for frame in parser.feed(chunk) if chunk is not None else parser.close():
            if frame.data.strip() == b"[DONE]":
                return True
            event = read_event(frame)
            if isinstance(event, ErrorEvent):
                raise state.refusal(event.error)
            if not event.id or event.id != seen:
                yield from state.add(event)
            seen = None  # only the first event can be that repetition
            idle = isinstance(event, StatusChanged) and event.status == "idle"
        if chunk is None:
            return idle
    return True


def _whole(body: bytes, state: StreamState) -> Completed:
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
        raise state.refusal(raw["error"])
    whole = from_raw(raw)
    if whole.status == NO_STATUS:
        raise Unreachable("the stream holds a body that is neither an event nor an answer")
    event: JsonObject = {"event_type": "interaction.completed", "interaction": raw | {"status": whole.status}}
    return Completed(interaction=whole, raw=event)
