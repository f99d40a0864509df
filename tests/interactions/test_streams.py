"""Streams of both wire forms: event by event, added up, taken up again after a cut, and closed early."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import httpx
import pytest
from clocks import Clock
from hypothesis import given, settings
from hypothesis import strategies as st

from extract import AsyncClient, Client, Emulator, Generation, Interaction, Request, Retry
from extract.errors import BadRequest, Blocked, Denied, ExtractError, Overloaded, RateLimited, Unreachable
from extract.interactions.streaming.accumulator import Accumulator
from extract.interactions.streaming.events import (
    ArgumentsPiece,
    Completed,
    Created,
    Event,
    StepStarted,
    TextPiece,
    ThoughtPiece,
    UnknownEvent,
    read_event,
)
from extract.interactions.streaming.sse import Frame
from extract.testing import running_server

KEY = "k"
QUICK = Retry(failures=2, first_wait=0.001, longest_wait=0.01)
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "people": {"type": "integer"}}}
ANSWER = '{"city": "Île-de-France, with some more text after it", "people": 12345678}'
REQUEST = Request(model="gemini-3.5-flash-lite", input="Where?", schema=SCHEMA)
BOTH = pytest.mark.parametrize("kind", ["sync", "async"])
DIALECTS = pytest.mark.parametrize("dialect", ["steps", "outputs"])


async def read_stream(
    kind: str, transport: Any, request: Request = REQUEST, *, dialect: Any = "steps", after: str | None = None
) -> tuple[list[Event], Interaction]:
    """Read a stream to its end; with `after`, that of a stored interaction `v1_x` from there on."""
    events: list[Event] = []
    if kind == "sync":
        with Client(KEY, dialect=dialect, transport=transport, retry=QUICK, sleep=lambda _: None) as client:
            with client.stream(request) if after is None else client.follow("v1_x", last_event_id=after) as stream:
                events += stream
            return events, stream.interaction

    async def no_sleep(_: float) -> None:
        return None

    async with AsyncClient(KEY, dialect=dialect, transport=transport, retry=QUICK, sleep=no_sleep) as client:
        opened = client.stream(request) if after is None else client.follow("v1_x", last_event_id=after)
        async with opened as stream:
            events += [event async for event in stream]
        return events, stream.interaction


@BOTH
@DIALECTS
async def test_the_events_add_up_to_what_a_plain_call_brings(kind: str, dialect: Any) -> None:
    request = Request(model="gemini-3.5-flash-lite", input="Where?", generation=Generation(thinking_level="low"))
    plain = Emulator(dialect=dialect, answers=[ANSWER], clock=lambda: 0.0)
    with Client("k", dialect=dialect, transport=plain.transport) as client:
        whole = client.create(request)
    events, added = await read_stream(
        kind,
        Emulator(dialect=dialect, answers=[ANSWER], clock=lambda: 0.0).transport,
        request,
        dialect=dialect,
    )
    assert added.text == ANSWER
    assert added == whole
    assert "".join(event.text for event in events if isinstance(event, TextPiece)) == ANSWER
    assert isinstance(events[0], Created)
    assert isinstance(events[-1], Completed)


@BOTH
async def test_a_structured_answer_shows_its_value_while_it_comes(kind: str) -> None:
    transport = Emulator(answers=[ANSWER]).transport
    seen: list[Any] = []
    if kind == "sync":
        with Client("k", transport=transport) as client, client.stream(REQUEST) as stream:
            seen += [stream.partial for _ in stream.texts()]
    else:
        async with AsyncClient("k", transport=transport) as client, client.stream(REQUEST) as stream:
            seen += [stream.partial async for _ in stream.texts()]
    assert seen[-1] == json.loads(ANSWER)
    assert len(seen) > 2
    assert all(value.get("people") in (None, 12345678) for value in seen)
    cities = [value["city"] for value in seen]
    assert all(later.startswith(earlier) for earlier, later in pairwise(cities))


@BOTH
async def test_a_stream_can_be_finished_in_one_word(kind: str) -> None:
    with running_server(Emulator(answers=lambda _: ANSWER)) as url:
        if kind == "sync":
            with Client("k", base_url=url) as client, client.stream(REQUEST) as stream:
                assert stream.finish().text == ANSWER
        else:
            async with AsyncClient("k", base_url=url) as client, client.stream(REQUEST) as stream:
                assert (await stream.finish()).text == ANSWER


def event(name: str, identity: str = "", **fields: Any) -> bytes:
    data = {"event_type": name, **({"event_id": identity} if identity else {}), **fields}
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps(data).encode())


def text_events(*pieces: str, start: int = 0) -> list[bytes]:
    """Return the events of one plain answer, numbered."""
    events = [
        ("interaction.created", {"interaction": {"id": "v1_x", "status": "in_progress", "model": "m"}}),
        ("step.start", {"index": 0, "step": {"type": "model_output"}}),
        *(("step.delta", {"index": 0, "delta": {"type": "text", "text": piece}}) for piece in pieces),
        ("step.stop", {"index": 0}),
        ("interaction.completed", {"interaction": {"id": "v1_x", "status": "completed"}}),
    ]
    return [event(name, f"e{number}", **fields) for number, (name, fields) in enumerate(events, start)]


DONE = b"event: done\ndata: [DONE]\n\n"


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Bytes, and then an end or a cut."""

    def __init__(self, *chunks: bytes, cut: bool = False) -> None:
        self.chunks, self.cut = chunks, cut

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks
        if self.cut:
            raise httpx.ReadError("connection reset by peer")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def streamed(*chunks: bytes, cut: bool = False) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(*chunks, cut=cut))


STORED = Request(model="m", input="hi", store=True)


@BOTH
async def test_a_stored_stream_goes_on_after_a_cut_wherever_it_comes(kind: str) -> None:
    frames = text_events("one ", "two ", "three")
    stream = b"".join(frames)
    requests: list[str] = []
    for cut in range(1, len(stream), 29):
        requests.clear()

        def answer(request: httpx.Request, cut: int = cut) -> httpx.Response:
            requests.append(f"{request.method} {request.url.query.decode()}")
            if request.method == "POST":
                return streamed(stream[:cut], cut=len(requests) == 1) if len(requests) == 1 else streamed(stream, DONE)
            after = request.url.params.get("last_event_id")
            rest = frames[int(after[1:]) + 1 :] if after else frames
            return streamed(*rest, DONE)

        _, interaction = await read_stream(kind, httpx.MockTransport(answer), STORED)
        assert (interaction.text, interaction.status) == ("one two three", "completed")
        whole = next((n for n in range(len(frames), 0, -1) if len(b"".join(frames[:n])) <= cut), 0)
        assert len(requests) == 2
        if whole:
            assert requests[1] == f"GET stream=true&last_event_id=e{whole - 1}"


@BOTH
async def test_a_stream_that_is_not_kept_and_breaks_off_is_one_error(kind: str) -> None:
    first = b"".join(text_events("one ", "two")[:3])
    transport = httpx.MockTransport(lambda _: streamed(first, cut=True))
    with pytest.raises(Unreachable):
        await read_stream(kind, transport, REQUEST)
    plain_end = httpx.MockTransport(lambda _: streamed(first))
    with pytest.raises(Unreachable, match="after 3 events"):
        await read_stream(kind, plain_end, REQUEST)


@BOTH
async def test_a_cut_that_cannot_be_mended_is_told_as_the_cut(kind: str) -> None:
    first = b"".join(text_events("one")[:3])

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return streamed(first, cut=True)
        return httpx.Response(404, json={"error": {"code": "not_found", "message": "no"}})

    with pytest.raises(Unreachable, match="reset"):
        await read_stream(kind, httpx.MockTransport(answer), STORED)


@BOTH
async def test_a_service_that_cuts_again_and_again_is_given_up(kind: str) -> None:
    frames = text_events("one")
    requests: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request.method)
        return streamed(frames[0], cut=True) if request.method == "POST" else streamed(cut=True)

    with pytest.raises(Unreachable):
        await read_stream(kind, httpx.MockTransport(answer), STORED)
    assert len(requests) == 6


@BOTH
async def test_a_stored_interaction_can_be_followed_from_an_event_on(kind: str) -> None:
    frames = text_events("one ", "two")

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params["last_event_id"] == "e2"
        return streamed(*frames[3:], DONE)

    events, interaction = await read_stream(kind, httpx.MockTransport(answer), after="e2")
    assert interaction.text == "two"
    assert len(events) == 3


@BOTH
async def test_an_unknown_id_is_told_in_a_stream_too(kind: str) -> None:
    with pytest.raises(BadRequest, match="keeps no interaction 'v1_x'"):
        await read_stream(kind, Emulator().transport, after="e2")
    chained = Request(model="gemini-3.8-flash", input="hi", store=True, previous_interaction_id="v1_none")
    with pytest.raises(BadRequest, match="keeps no interaction 'v1_none'"):
        await read_stream(kind, Emulator().transport, chained)


@BOTH
async def test_a_continuation_is_followed_in_a_stream_too(kind: str) -> None:
    emulator = Emulator(answers=lambda _: ANSWER, faults="continuation=1")
    events, interaction = await read_stream(kind, emulator.transport)
    assert (interaction.status, interaction.text) == ("completed", ANSWER)
    assert len(emulator.requests) > 1
    assert interaction.usage is not None
    assert interaction.usage.input_tokens == emulator.stats()["input_tokens"]
    indexes = [event.index for event in events if isinstance(event, StepStarted)]
    assert indexes == sorted(set(indexes))


@BOTH
@pytest.mark.parametrize(
    ("body", "error"),
    [
        (event("error", error={"code": "rate_limit_exceeded", "message": "slow"}), RateLimited),
        (event("error", error={"code": "service_unavailable", "message": "busy"}), Overloaded),
        (event("error", error={"code": "invalid_request", "message": "no"}), BadRequest),
        (event("error", error={"code": "safety", "message": "no"}), Blocked),
        (event("error", error={"code": "authentication", "message": "no"}), Denied),
        (b'[{"error":\n {"code": 504, "message": "cut"}}]', Overloaded),
        (b'{"error": {"code": "permission_denied", "message": "no"}}', Denied),
        (b"[3]", Unreachable),
        (b"{3", Unreachable),
    ],
)
async def test_what_comes_in_place_of_events_is_an_error_of_our_tree(
    kind: str, body: bytes, error: type[ExtractError]
) -> None:
    head = text_events("one")[0]
    with pytest.raises(error):
        await read_stream(kind, httpx.MockTransport(lambda _: streamed(head, body)))
    with pytest.raises(error):
        await read_stream(kind, httpx.MockTransport(lambda _: streamed(body)))


@BOTH
async def test_a_key_that_the_service_echoes_in_a_stream_is_struck_out(kind: str, monkeypatch: Any) -> None:
    key = "AIza-very-secret"
    monkeypatch.setattr(f"{__name__}.KEY", key)
    error = {"code": "invalid_request", "message": f"bad key {key}"}
    for body in (event("error", error=error), json.dumps([{"error": error}]).encode()):
        with pytest.raises(BadRequest) as caught:
            await read_stream(kind, httpx.MockTransport(lambda _, body=body: streamed(body)))
        assert key not in str(caught.value)
        assert "[key]" in str(caught.value)


def checkpoint(token: str, **fields: Any) -> bytes:
    return event("interaction.status_update", status="in_progress", continuation_token=token, **fields)


@BOTH
async def test_a_stream_that_goes_on_from_a_checkpoint_keeps_what_came_before(kind: str) -> None:
    thought = event("step.delta", index=0, delta={"type": "thought_summary", "content": {"type": "text", "text": "I"}})
    usage = {"total_input_tokens": 2, "total_output_tokens": 3}
    first = [
        event("interaction.created", interaction={"id": "a", "status": "in_progress"}),
        thought,
        event("step.delta", index=1, delta={"type": "text", "text": "one "}),
        checkpoint("T1", usage=usage),
    ]
    end = {"id": "b", "status": "completed", "usage": usage}
    second = [
        event("interaction.created", interaction={"id": "b", "status": "in_progress"}),
        event("step.delta", index=0, delta={"type": "text", "text": "two"}),
        event("interaction.completed", interaction=end),
    ]
    replies = [streamed(*first, cut=True), streamed(cut=True), streamed(*second, DONE)]
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return replies[len(sent) - 1]

    events, interaction = await read_stream(kind, httpx.MockTransport(answer))
    assert (interaction.text, interaction.thoughts, interaction.status) == ("one two", ("I",), "completed")
    assert interaction.usage is not None
    assert (interaction.usage.input_tokens, interaction.usage.output_tokens) == (4, 6)
    assert [one.get("continuation_token") for one in sent] == [None, "T1", "T1"]
    assert [one.index for one in events if isinstance(one, TextPiece)] == [1, 2]


@BOTH
async def test_a_checkpoint_that_never_changes_is_not_gone_on_from_for_ever(kind: str) -> None:
    requests: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request.content)
        return streamed(event("step.delta", index=0, delta={"type": "text", "text": "x"}), checkpoint("T"), cut=True)

    with pytest.raises(Unreachable):
        await read_stream(kind, httpx.MockTransport(answer))
    assert len(requests) == 2


def without_ids(*pieces: str) -> list[bytes]:
    return [re.sub(rb'"event_id": "e\d+", ', b"", one) for one in text_events(*pieces)]


@BOTH
async def test_events_without_ids_are_not_given_out_again_by_a_replay(kind: str) -> None:
    frames = without_ids("one ", "two ", "three")
    requests: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request.method)
        return streamed(*frames, DONE) if len(requests) == 4 else streamed(*frames[: 2 + len(requests) % 3], cut=True)

    events, interaction = await read_stream(kind, httpx.MockTransport(answer), STORED)
    assert requests == ["POST", "GET", "GET", "GET"]
    assert interaction.text == "one two three"
    assert [one.text for one in events if isinstance(one, TextPiece)] == ["one ", "two ", "three"]


@BOTH
async def test_a_replay_that_never_comes_further_is_given_up(kind: str) -> None:
    frames = without_ids("one ", "two")
    requests: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request.method)
        return streamed(*frames[:3], cut=True)

    with pytest.raises(Unreachable, match="reset"):
        await read_stream(kind, httpx.MockTransport(answer), STORED)
    assert len(requests) == 6


@BOTH
async def test_the_event_to_go_on_after_is_dropped_where_the_service_repeats_it(kind: str) -> None:
    frames = text_events("one ", "two")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return streamed(*frames[:3], cut=True)
        return streamed(*frames[2:], DONE)

    events, interaction = await read_stream(kind, httpx.MockTransport(answer), STORED)
    assert interaction.text == "one two"
    assert [one.id for one in events] == [f"e{number}" for number in range(len(frames))]


@BOTH
async def test_a_stream_without_an_end_is_no_whole_answer(kind: str) -> None:
    events = text_events("one")
    for sent in ([DONE], [events[1], events[2], DONE], [b"{}\n", DONE], [b"{}"]):
        with pytest.raises(Unreachable):
            await read_stream(kind, httpx.MockTransport(lambda _, sent=sent: streamed(*sent)))
    assert added().status == "in_progress"
    assert added(("interaction.created", {"interaction": {}})).status == "in_progress"
    assert added(("interaction.completed", {"interaction": {}})).status == "completed"
    with Client("k", transport=httpx.MockTransport(lambda _: streamed(DONE))) as client:
        assert client.stream(REQUEST).interaction.status == "in_progress"


@BOTH
async def test_a_stray_object_does_not_hide_the_events_after_it(kind: str) -> None:
    frames = text_events("one ", "two")
    sent = (*frames[:3], b"{}\n\n", *frames[3:], DONE)
    _, interaction = await read_stream(kind, httpx.MockTransport(lambda _: streamed(*sent)))
    assert (interaction.text, interaction.status) == ("one two", "completed")


@BOTH
async def test_a_whole_answer_in_place_of_events_is_taken(kind: str) -> None:
    whole = {"status": "completed", "steps": [{"type": "model_output", "content": [{"type": "text", "text": "x"}]}]}
    _, interaction = await read_stream(kind, httpx.MockTransport(lambda _: httpx.Response(200, json=whole)))
    assert interaction.text == "x"


@BOTH
async def test_a_refusal_before_the_first_event_is_a_plain_refusal(kind: str) -> None:
    refused = httpx.Response(400, json={"error": {"code": "invalid_request", "message": "wrong"}})
    with pytest.raises(BadRequest, match="wrong"):
        await read_stream(kind, httpx.MockTransport(lambda _: refused))


@BOTH
@pytest.mark.parametrize("fault", ["503=0.4", "reset=0.4", "429_retry_after_ms=0.4"])
async def test_opening_a_stream_is_tried_again(kind: str, fault: str) -> None:
    emulator = Emulator(answers=lambda _: ANSWER, faults=fault, seed=4)
    patient = Retry(failures=20, first_wait=0.001, longest_wait=0.01)
    for _ in range(5):
        if kind == "sync":
            with Client("k", transport=emulator.transport, retry=patient, sleep=lambda _: None) as client:
                assert client.stream(REQUEST).finish().text == ANSWER
        else:
            async with (
                AsyncClient("k", transport=emulator.transport, retry=patient, sleep=Clock().sleep_async) as client,
                client.stream(REQUEST) as stream,
            ):
                assert (await stream.finish()).text == ANSWER


@contextmanager
def endless() -> Iterator[tuple[str, threading.Event]]:
    """Serve a stream that never ends; the event is set once the client's connection is closed."""
    left = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + text_events("one")[0])
        connection.settimeout(5)
        try:
            while connection.recv(65536):
                pass
            left.set()
        except TimeoutError:
            pass
        except OSError:
            left.set()
        connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", left
    finally:
        thread.join(6)
        listening.close()


@pytest.mark.parametrize("kind", ["sync", "async", "async-httpx"])
async def test_closing_a_stream_early_leaves_no_connection(kind: str) -> None:
    with endless() as (url, left):
        if kind == "sync":
            with Client("k", base_url=url) as client:
                with client.stream(REQUEST) as stream:
                    assert isinstance(next(iter(stream)), Created)
                assert left.wait(3)
        else:
            transport = httpx.AsyncHTTPTransport() if kind == "async-httpx" else None
            async with AsyncClient("k", base_url=url, transport=transport) as client:
                async with client.stream(REQUEST) as stream:
                    assert isinstance(await anext(aiter(stream)), Created)
                assert await asyncio.to_thread(left.wait, 3)


@pytest.mark.parametrize(("tier", "seconds"), [("flex", 900), ("standard", 300), (None, 300)])
@pytest.mark.parametrize("way", ["create", "stream"])
def test_a_flex_request_is_given_the_time_that_its_tier_takes(tier: Any, seconds: int, way: str) -> None:
    timeouts: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"]["read"])
        return httpx.Response(200, json={"status": "completed"})

    request = Request(model="m", input="hi", service_tier=tier)
    with Client("k", transport=httpx.MockTransport(answer)) as client:
        client.create(request) if way == "create" else client.stream(request).finish()
    assert timeouts == [seconds]


def added(*events: tuple[str, dict[str, Any]]) -> Interaction:
    accumulator = Accumulator()
    for name, fields in events:
        accumulator.add(read_event(Frame(json.dumps({"event_type": name, **fields}).encode())))
    return accumulator.interaction()


def deltas(*parts: dict[str, Any], index: int = 0, name: str = "step.delta") -> list[tuple[str, dict[str, Any]]]:
    return [(name, {"index": index, "delta": part}) for part in parts]


def test_pieces_of_arguments_become_an_object() -> None:
    call = {"type": "function_call", "id": "c1", "name": "look_up", "arguments": {}}
    interaction = added(
        ("step.start", {"index": 0, "step": call}),
        *deltas(*({"type": "arguments_delta", "arguments": piece} for piece in ('{"city"', ': "Ulm"', "}"))),
        ("step.stop", {"index": 0}),
    )
    assert [(c.id, c.name, c.arguments) for c in interaction.calls] == [("c1", "look_up", {"city": "Ulm"})]


def test_pieces_of_sound_are_one_sound_and_images_stay_apart() -> None:
    def media(kind: str, data: bytes) -> dict[str, Any]:
        return {"type": kind, "mime_type": f"{kind}/x", "data": b64encode(data).decode()}

    interaction = added(
        ("step.start", {"index": 0, "step": {"type": "model_output"}}),
        *deltas(media("audio", b"a"), media("audio", b"bc"), media("image", b"1"), media("image", b"2")),
    )
    assert [part.data for part in interaction.media] == [b"abc", b"1", b"2"]


def test_a_long_sound_is_put_together_once() -> None:
    accumulator = Accumulator()
    piece = {"type": "audio", "mime_type": "audio/l16", "data": b64encode(b"x" * 6000).decode()}
    for _ in range(5000):
        accumulator.add(read_event(Frame(json.dumps({"event_type": "step.delta", "delta": piece}).encode())))
    assert [len(part.data or b"") for part in accumulator.interaction().media] == [30_000_000]
    accumulator.add(read_event(Frame(json.dumps({"event_type": "step.delta", "delta": piece}).encode())))
    assert [len(part.data or b"") for part in accumulator.interaction().media] == [30_006_000]


def test_a_result_that_comes_in_pieces_is_joined() -> None:
    step = {"type": "google_search_result", "call_id": "s", "result": ["a"]}
    interaction = added(
        ("step.start", {"index": 0, "step": step}),
        *deltas(
            {"type": "google_search_result", "result": ["a", "b"]}, {"type": "google_search_result", "result": ["c"]}
        ),
    )
    assert interaction.steps[0]["result"] == ["a", "b", "c"]


def test_steps_that_the_beginning_tells_are_kept() -> None:
    body = {"type": "model_output", "content": [{"type": "text", "text": "one "}]}
    interaction = added(
        ("interaction.created", {"interaction": {"id": "v1", "status": "in_progress", "steps": [body]}}),
        *deltas({"type": "text", "text": "two"}, index=1),
    )
    assert interaction.text == "one two"


def test_both_ways_in_which_the_first_form_streamed_thoughts_are_read() -> None:
    interaction = added(
        ("interaction.start", {"interaction": {"id": "v1", "status": "in_progress"}}),
        ("content.start", {"index": 0, "content": {"type": "thought"}}),
        *deltas({"type": "thought", "thought": "I "}, name="content.delta"),
        *deltas({"type": "thought_summary", "content": {"type": "text", "text": "think"}}, name="content.delta"),
        *deltas({"type": "thought_signature", "signature": "s"}, name="content.delta"),
        *deltas({"type": "text", "text": "so"}, name="content.delta", index=1),
    )
    assert interaction.thoughts == ("I think",)
    assert interaction.steps[0]["signature"] == "s"
    assert interaction.text == "so"


def test_annotations_and_tool_steps_are_kept() -> None:
    note = {"type": "url_citation", "url": "https://x", "start_index": 0, "end_index": 2}
    interaction = added(
        ("step.start", {"index": 0, "step": {"type": "google_search_call", "id": "s"}}),
        *deltas({"type": "google_search_call", "id": "s", "arguments": {"queries": ["q"]}}),
        *deltas({"type": "text", "text": "so"}, {"type": "text_annotation_delta", "annotations": [note]}, index=1),
    )
    assert interaction.steps[0]["arguments"] == {"queries": ["q"]}
    assert [citation.text for citation in interaction.citations] == ["so"]


def test_usage_that_the_end_does_not_tell_is_taken_from_where_it_was_told() -> None:
    usage = {"total_input_tokens": 3, "total_output_tokens": 4}
    for events in (
        [("step.stop", {"index": 0, "usage": usage})],
        [("step.delta", {"index": 0, "delta": {"type": "text", "text": "x"}, "metadata": {"total_usage": usage}})],
        [("interaction.status_update", {"status": "in_progress", "usage": usage})],
    ):
        interaction = added(*events, ("interaction.completed", {"interaction": {"id": "v", "status": "completed"}}))
        assert interaction.usage is not None
        assert (interaction.usage.input_tokens, interaction.usage.output_tokens) == (3, 4)
    assert added(("interaction.completed", {"interaction": {"status": "completed"}})).usage is None


@pytest.mark.parametrize("name", ["interaction.in_progress", "interaction.brand_new", "weather.report", ""])
def test_events_that_are_not_known_are_passed_on_and_change_nothing(name: str) -> None:
    event_read = read_event(Frame(json.dumps({"event_type": name, "x": 1}).encode()))
    assert isinstance(event_read, UnknownEvent)
    assert event_read.raw["x"] == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)
KINDS = st.sampled_from(
    [
        *("text", "thought", "thought_summary", "thought_signature", "arguments_delta", "text_annotation_delta"),
        *("image", "audio", "function_call", "google_search_result", "unheard_of", "model_output", "user_input"),
    ]
)
FIELDS = (
    "text content summary signature arguments annotations data uri mime_type id status usage steps outputs error errors"
)
PART = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    KINDS | JSON,
    st.dictionaries(st.sampled_from(FIELDS.split()), JSON, max_size=4),
)
EVENT = st.fixed_dictionaries(
    {
        "event_type": st.sampled_from(
            [
                *("interaction.created", "interaction.start", "interaction.completed", "interaction.complete"),
                *("step.start", "step.delta", "step.stop", "content.start", "content.delta", "content.stop"),
                *("interaction.status_update", "error", "new.event"),
            ]
        )
    },
    optional={
        "index": st.integers(-1, 2) | JSON,
        **dict.fromkeys(("interaction", "step", "content", "delta", "error", "usage", "metadata"), PART | JSON),
        "status": st.sampled_from(["completed", "requires_continuation"]) | JSON,
        "continuation_token": JSON,
        "event_id": JSON,
    },
)


BODIES: list[bytes] = []
CLIENT = Client(
    "k",
    transport=httpx.MockTransport(lambda _: streamed(BODIES[-1], DONE)),
    retry=Retry(failures=1),
    sleep=lambda _: None,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENT | JSON, max_size=8))
def test_no_event_raises_anything_but_our_errors(sent: list[Any]) -> None:
    BODIES[:] = [b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in sent)]
    with CLIENT.stream(REQUEST) as stream:
        try:
            for _ in stream:
                _ = stream.partial, stream.text
        except ExtractError as error:
            assert str(error)
        looked_at(stream.interaction)


def looked_at(interaction: Interaction) -> None:
    """Look at all that an interaction shows."""
    for name in ("text", "thoughts", "calls", "media", "images", "audio", "citations", "answer"):
        getattr(interaction, name)


def test_the_pieces_of_thoughts_and_arguments_are_typed() -> None:
    thought = read_event(
        Frame(b'{"event_type":"step.delta","delta":{"type":"thought_summary","content":{"text":"t"}}}')
    )
    arguments = read_event(Frame(b'{"event_type":"step.delta","delta":{"type":"arguments_delta","arguments":"{"}}'))
    assert isinstance(thought, ThoughtPiece)
    assert isinstance(arguments, ArgumentsPiece)


def test_a_stream_on_its_own_is_closed_by_hand() -> None:
    with Client("k", transport=Emulator(answers=[ANSWER]).transport) as client:
        stream = client.stream(REQUEST)
        next(iter(stream))
        stream.close()
        assert list(stream) == []
