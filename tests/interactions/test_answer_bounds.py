"""What one answer may take, and all answers together: bytes on the wire, bytes unpacked, seconds."""

from __future__ import annotations

import asyncio
import gzip
import math
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from clocks import Clock
from scripted import ANSWER, Behaviour, Server, listening, reply, serving

from extract import (
    AnswerTimeout,
    AsyncClient,
    Client,
    ConfigError,
    Emulator,
    Endpoint,
    Extractor,
    ImageFormat,
    Limits,
    Overloaded,
    Request,
    Retry,
    run,
)
from extract.errors import AnswerError, ExtractError
from extract.interactions.http.bodies import Allowance, Body
from extract.interactions.http.calls import Bounds, Call
from extract.interactions.http.connections import Connections
from extract.interactions.streaming.sse import SseParser

KEY = "AIza-very-secret"
CALL = Call("POST", "/interactions", b'{"input":"hi"}')
OVER_AIOHTTP = Call("POST", "/interactions", b'{"input":"hi"}', headers={"x-more": "1"})
HEAD = b"POST /v1/interactions HTTP/1.1\r\nhost: here\r\ncontent-length: "
BOMB = gzip.compress(b" " * 2**24, mtime=0)

Exchange = Callable[..., Any]


async def _direct(endpoint: Endpoint, call: Call = CALL) -> Any:
    async with AsyncClient(endpoint=endpoint) as client:
        return await client.exchange(call)


async def _async_httpx(endpoint: Endpoint) -> Any:
    async with AsyncClient(endpoint=endpoint, transport=httpx.AsyncHTTPTransport()) as client:
        return await client.exchange(CALL)


async def _sync(endpoint: Endpoint) -> Any:
    def exchange() -> Any:
        with Client(endpoint=endpoint) as client:
            return client.exchange(CALL)

    return await asyncio.to_thread(exchange)


TRANSPORTS: dict[str, Exchange] = {
    "connections": _direct,
    "aiohttp": partial(_direct, call=OVER_AIOHTTP),
    "httpx_async": _async_httpx,
    "httpx": _sync,
}


@pytest.fixture(params=TRANSPORTS)
def exchange(request: pytest.FixtureRequest) -> Exchange:
    """Exchange once with a server, over each of the transports that a client or a run uses."""

    async def once(server: Server, **bounds: Any) -> Any:
        endpoint = Endpoint(api_key=KEY, base_url=server.url, read_timeout=20.0, **bounds)
        return await TRANSPORTS[request.param](endpoint)

    return once


def endless(head: bytes, piece: bytes) -> Behaviour:
    """Answer with `head`, then with `piece` for ever."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()

    return behave


OK = b"HTTP/1.1 200 OK\r\n"
NO_END = {
    "until_closed": endless(OK + b"\r\n", b"x" * 4096),
    "chunked": endless(OK + b"transfer-encoding: chunked\r\n\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "small_chunks": endless(OK + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1024),
    "announced": endless(OK + b"content-length: 99999999999\r\n\r\n", b"x" * 4096),
    "gzip_of_nothing": endless(
        OK + b"transfer-encoding: chunked\r\ncontent-encoding: gzip\r\n\r\n",
        b"%x\r\n" % len(gzip.compress(b"", mtime=0)) + gzip.compress(b"", mtime=0) + b"\r\n",
    ),
}


@pytest.mark.parametrize("behaviour", NO_END.values(), ids=NO_END)
async def test_an_answer_without_an_end_is_left_at_its_bound(exchange: Exchange, behaviour: Behaviour) -> None:
    async with serving(lambda _: behaviour) as server:
        with pytest.raises(AnswerError):
            await exchange(server, max_answer_bytes=200_000)
    assert len(server.received) == 1


async def test_a_size_that_is_announced_is_refused_before_anything_of_it_has_come(exchange: Exchange) -> None:
    async with serving(lambda _: reply(b"", length=200_001)) as server:
        with pytest.raises(AnswerError, match="larger than 200,000 bytes") as caught:
            await exchange(server, max_answer_bytes=200_000)
    assert caught.value.code == "invalid_answer"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_is_stopped_while_it_is_unpacked(exchange: Exchange, coding: str) -> None:
    packed = BOMB if coding == "gzip" else zlib.compress(b" " * 2**24)
    async with serving(lambda _: reply(packed, "200 OK", f"content-encoding: {coding}")) as server:
        with pytest.raises(AnswerError, match="larger than 1,000,000 bytes"):
            await exchange(server, max_answer_bytes=1_000_000)


async def test_an_answer_as_large_as_its_bound_is_whole_packed_or_not(exchange: Exchange) -> None:
    body = ANSWER + b" " * (700_000 - len(ANSWER))
    packed = gzip.compress(body[:300_000], mtime=0) + gzip.compress(body[300_000:], mtime=0)
    for behaviour in (reply(body), reply(packed, "200 OK", "content-encoding: gzip")):
        async with serving(lambda _, behaviour=behaviour: behaviour) as server:
            assert (await exchange(server, max_answer_bytes=len(body))).body == body


async def test_a_refusal_with_a_body_without_end_is_told_by_its_status(exchange: Exchange) -> None:
    behaviour = endless(b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\n\r\n", b"x" * 4096)
    async with serving(lambda _: behaviour) as server:
        with pytest.raises(Overloaded) as caught:
            await exchange(server, max_answer_bytes=100_000)
    assert (caught.value.status, caught.value.retry_after) == (503, 7.0)


@pytest.mark.parametrize(
    "behaviour",
    [
        endless(OK, b"x-more: " + b"y" * 1000 + b"\r\n"),
        endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
        endless(OK + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x-more: " + b"y" * 1000 + b"\r\n"),
    ],
    ids=["head", "early_hints", "trailers"],
)
async def test_what_is_no_body_has_a_bound_too(behaviour: Behaviour) -> None:
    async with serving(lambda _: behaviour) as server:
        with pytest.raises(AnswerError):
            await _direct(Endpoint(api_key=KEY, base_url=server.url, max_answer_bytes=100_000))


async def test_a_connection_that_goes_on_talking_after_its_answer_is_closed() -> None:
    good = OK + b"content-length: %d\r\n\r\n" % len(ANSWER) + ANSWER
    closed = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"{}")
            writer.write(good)
            await writer.drain()
            await asyncio.sleep(0.05)
            while True:
                writer.write(OK + b"\r\n" + b"x" * 65_536)
                await writer.drain()
        finally:
            closed.set()

    async with listening(talk) as port:
        connections = Connections(httpx.URL(f"http://127.0.0.1:{port}"), None)
        assert (await connections.send(HEAD + b"2\r\n\r\n", b"{}", Bounds(5.0))).body == ANSWER
        await asyncio.wait_for(closed.wait(), 10)
        await connections.aclose()


def dribble(pause: float) -> Behaviour:
    """Answer with one byte now and then, for ever."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


async def test_an_answer_of_a_byte_now_and_then_ends_with_the_total(exchange: Exchange) -> None:
    async with serving(lambda _: dribble(0.02)) as server:
        with pytest.raises(AnswerTimeout, match=r"not whole 0\.3 s after") as caught:
            await exchange(server, request_timeout=0.3)
    assert caught.value.code == "timeout"


@pytest.mark.parametrize(("tier", "seconds"), [("standard", 600.0), ("flex", 1200.0)])
def test_the_total_is_ten_minutes_by_default_and_twenty_on_flex(tier: Any, seconds: float) -> None:
    endpoint = Endpoint(api_key=KEY)
    call = endpoint.create_call(Request(model="m", input="x", service_tier=tier), b"{}")
    assert endpoint.bounds(call).seconds == seconds
    assert Endpoint(api_key=KEY, request_timeout=5).bounds(CALL).seconds == 5


def test_by_default_a_connection_is_left_after_ten_minutes_of_bytes_now_and_then() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        clock = loop.time
        fed = 0.0
        loop.time = lambda: clock() + fed  # type: ignore[method-assign]
        async with serving(lambda _: dribble(0.005)) as server, AsyncClient(KEY, base_url=server.url) as client:
            asked = asyncio.create_task(client.exchange(CALL))
            while not asked.done():
                await asyncio.sleep(0.01)
                fed += 10.0
            assert 600 < fed < 700
            with pytest.raises(AnswerTimeout, match="600 s"):
                await asked

    asyncio.run(main())


@pytest.mark.parametrize(
    "request_",
    [
        Request(model="m", input="x", store=True, background=True),
        Request(agent="deep-research", input="x", store=True),
    ],
    ids=["background", "agent"],
)
def test_work_in_the_background_and_agents_have_no_total(request_: Request) -> None:
    endpoint = Endpoint(api_key=KEY, request_timeout=1.0)
    assert endpoint.bounds(endpoint.create_call(request_, b"{}")).seconds == math.inf


@pytest.mark.parametrize(
    "request_",
    [
        Request(model="m", input="x", formats=(ImageFormat(),)),
        Request(model="m", input="x", formats=({"type": "video"},)),
        Request(model="gemini-3-pro-image", input="x"),
    ],
    ids=["format", "object", "model"],
)
def test_an_answer_with_media_may_be_larger(request_: Request) -> None:
    endpoint = Endpoint(api_key=KEY)
    assert endpoint.bounds(endpoint.create_call(request_, b"{}")).size == 256 * 2**20
    text = Request(model="m", input="x")
    assert endpoint.bounds(endpoint.create_call(text, b"{}")).size == 16 * 2**20
    given = Endpoint(api_key=KEY, max_answer_bytes=1000)
    assert given.bounds(given.create_call(request_, b"{}")).size == 1000


@pytest.mark.parametrize("name", ["read_timeout", "request_timeout", "max_answer_bytes", "max_held_bytes"])
def test_a_bound_that_allows_nothing_is_refused(name: str) -> None:
    bounds: dict[str, Any] = {name: 0}
    with pytest.raises(ConfigError, match=name):
        Endpoint(api_key=KEY, **bounds)


@contextmanager
def served(behaviour: Callable[[int], Behaviour]) -> Iterator[Server]:
    """`serving` in a thread of its own, for what blocks."""
    started, ended = threading.Event(), asyncio.Event()
    servers: list[Server] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        async with serving(behaviour) as server:
            servers.append(server)
            loops.append(asyncio.get_running_loop())
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    started.wait()
    try:
        yield servers[0]
    finally:
        loops[0].call_soon_threadsafe(ended.set)
        thread.join()


LABELS = Extractor(["good", "bad"], "{text}")
QUICK = Limits(concurrency=4, stop_after_failures=0, retry=Retry(first_wait=0.001, longest_wait=0.001))


@pytest.mark.parametrize("behaviour", [NO_END["until_closed"], reply(BOMB, "200 OK", "content-encoding: gzip")])
def test_a_row_whose_answer_is_too_large_is_rejected_after_one_request_that_may_be_billed(
    behaviour: Behaviour,
) -> None:
    with served(lambda _: behaviour) as server:
        endpoint = Endpoint(api_key=KEY, base_url=server.url, max_answer_bytes=500_000)
        result = run(["a", "b", "c"], LABELS, client=Client(endpoint=endpoint), limits=QUICK)
    assert result.errors["code"].to_list() == ["invalid_answer"] * 3
    assert len(server.received) == 3
    assert result.totals.unknown_attempts == 3


def test_a_request_that_ran_out_is_asked_again_once_and_both_may_be_billed() -> None:
    with served(lambda _: dribble(0.02)) as server:
        endpoint = Endpoint(api_key=KEY, base_url=server.url, request_timeout=0.2)
        result = run(["a"], LABELS, client=Client(endpoint=endpoint), limits=QUICK)
    assert result.errors["code"].to_list() == ["timeout"]
    assert len(server.received) == 2
    assert result.totals.unknown_attempts == 2


def test_a_shorter_deadline_of_the_record_wins() -> None:
    with served(lambda _: dribble(0.02)) as server:
        endpoint = Endpoint(api_key=KEY, base_url=server.url, request_timeout=30.0)
        limits = Limits(deadline=0.2, stop_after_failures=0)
        result = run(["a"], LABELS, client=Client(endpoint=endpoint), limits=limits)
    assert result.errors["message"].to_list() == ["no answer within 0.2 s"]
    assert len(server.received) == 1


def test_an_event_of_a_stream_has_a_bound() -> None:
    for lines in (b"data: " + b"x" * 2000, b"data: xxxx\n" * 200):
        parser = SseParser(max_event=1000)
        with pytest.raises(AnswerError, match="larger than 1,000 bytes"):
            list(parser.feed(lines))
    many = SseParser(max_event=1000)
    assert len(list(many.feed(b"data: x\n\n" * 1000))) == 1000


def test_an_error_in_a_million_lines_is_read_as_quickly_as_one_in_one_line() -> None:
    parser, began = SseParser(), time.process_time()
    for _ in range(50):
        assert not list(parser.feed(b"[1\n" + b"1\n" * 10_000))
    assert len(parser.stray) > 900_000
    assert time.process_time() - began < 3.0  # it took ten


def test_a_stream_may_go_on_for_longer_than_an_answer_may_be_large() -> None:
    clock = Clock()
    emulator = Emulator(answers=["word " * 2000])
    endpoint = Endpoint(api_key=KEY, max_answer_bytes=500, request_timeout=1.0)
    asked = Request(model="gemini-3.8-flash", input="x")
    with (
        Client(endpoint=endpoint, transport=emulator.transport, clock=clock) as client,
        client.stream(asked) as stream,
    ):
        for _ in stream:
            clock.sleep(10.0)
    assert len(stream.text) == len("word " * 2000)


def test_no_memory_for_an_answer_is_an_error_of_ours() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise MemoryError

    with (
        Client(KEY, transport=httpx.MockTransport(fail)) as client,
        pytest.raises(ExtractError, match="not enough memory"),
    ):
        client.exchange(CALL)


def test_an_answer_in_small_pieces_takes_no_more_room_than_in_large_ones() -> None:
    body = Body(Allowance())
    body.begin({}, 10**7)
    tracemalloc.start()
    try:
        for number in range(200_000):
            body.feed(b"%02d" % (number % 100))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 1_000_000
    assert body.whole() == b"".join(b"%02d" % number for number in range(100)) * 2000


class TestAllowance:
    def bodies(self, allowance: Allowance, count: int) -> list[Body]:
        bodies = [Body(allowance) for _ in range(count)]
        for body in bodies:
            body.begin({}, 10**9)
        return bodies

    def test_above_it_only_the_oldest_is_read_on(self) -> None:
        first, second, third = self.bodies(Allowance(1_000_000), 3)
        for body in (first, second, third):
            body.feed(b"x" * 300_000)
        first.feed(b"x" * 200_000)
        assert [one.paused for one in (first, second, third)] == [False, False, False]
        second.feed(b"x")
        first.feed(b"x" * 900_000)
        assert (first.paused, second.paused, third.paused) == (False, True, False)
        third.feed(b"x")
        assert third.paused
        first.end()
        assert [one.paused for one in (second, third)] == [False, False]

    def test_who_waits_longest_is_next_while_there_is_no_room_for_all(self) -> None:
        first, second, third = self.bodies(Allowance(100_000), 3)
        for body in (first, second, third):
            body.feed(b"x" * 90_000)
        assert (first.paused, second.paused, third.paused) == (False, True, True)
        first.end()
        assert (second.paused, third.paused) == (False, True)
        second.end()
        assert not third.paused

    def test_a_packed_answer_is_unpacked_only_as_far_as_there_is_room(self) -> None:
        first, second = self.bodies(Allowance(1_000_000), 2)
        first.feed(b"x" * 900_000)
        second.begin({"content-encoding": "gzip"}, 10**9)
        second.feed(BOMB)
        assert second.paused
        assert second.pending
        first.end()
        second.unpack()
        assert len(second.whole()) == 2**24


@asynccontextmanager
async def gated(pieces: list[bytes], gate: asyncio.Event) -> AsyncIterator[str]:
    """Answer the first request slowly, its last piece only once the gate is open, and all others at once."""
    seen = 0

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(CALL.body))
            seen += 1
            is_first = seen == 1
            writer.write(OK + b"content-length: %d\r\n\r\n" % sum(map(len, pieces)))
            for piece in pieces[:-1]:
                writer.write(piece)
                await writer.drain()
            if is_first:
                await gate.wait()
            writer.write(pieces[-1])
            await writer.drain()

    async with listening(converse) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("path", ["connections", "aiohttp", "httpx_async"])
async def test_answers_wait_for_the_oldest_and_all_come_whole(path: str) -> None:
    pieces, gate = [b" " * 400_000] * 5, asyncio.Event()
    call = OVER_AIOHTTP if path == "aiohttp" else CALL
    own: dict[str, Any] = {"transport": httpx.AsyncHTTPTransport()} if path == "httpx_async" else {}
    async with gated(pieces, gate) as url:
        endpoint = Endpoint(api_key=KEY, base_url=url, max_held_bytes=1_700_000, read_timeout=30.0)
        async with AsyncClient(endpoint=endpoint, **own) as client:
            oldest = asyncio.create_task(client.exchange(call))
            await asyncio.sleep(0.1)
            others = [asyncio.create_task(client.exchange(call)) for _ in range(4)]
            await asyncio.sleep(0.2)
            assert not any(other.done() for other in others)
            gate.set()
            answers = await asyncio.wait_for(asyncio.gather(oldest, *others), 20)
            # A connection that had to wait is as good as new.
            answers += await asyncio.wait_for(asyncio.gather(*(client.exchange(call) for _ in range(5))), 20)
    assert [len(answer.body) for answer in answers] == [2_000_000] * 10


@pytest.mark.parametrize("path", ["connections", "aiohttp", "httpx_async"])
async def test_waiting_for_the_room_that_others_take_is_no_time_of_the_request(path: str) -> None:
    pieces, gate = [b" " * 400_000] * 5, asyncio.Event()
    call = OVER_AIOHTTP if path == "aiohttp" else CALL
    own: dict[str, Any] = {"transport": httpx.AsyncHTTPTransport()} if path == "httpx_async" else {}
    async with gated(pieces, gate) as url:
        endpoint = Endpoint(api_key=KEY, base_url=url, max_held_bytes=1_700_000, request_timeout=0.7)
        async with AsyncClient(endpoint=endpoint, **own) as client:
            oldest = asyncio.create_task(client.exchange(replace(call, total=30.0)))
            await asyncio.sleep(0.1)
            others = [asyncio.create_task(client.exchange(call)) for _ in range(2)]
            await asyncio.sleep(1.0)
            gate.set()
            answers = await asyncio.wait_for(asyncio.gather(oldest, *others), 20)
    assert [len(answer.body) for answer in answers] == [2_000_000] * 3


MEMORY = """
import sys
from pathlib import Path

kind, *sys.path[:0] = sys.argv[1:]
from scripted import reply
from test_answer_bounds import NO_END, big_bomb, served

from extract import Client, Endpoint, Extractor, Limits, run

behaviour = NO_END["until_closed"] if kind == "no_end" else reply(big_bomb(), "200 OK", "content-encoding: gzip")
with served(lambda _: behaviour) as server:
    endpoint = Endpoint(api_key="key", base_url=server.url)
    limits = Limits(concurrency=8, stop_after_failures=0)
    result = run(list("abcdefgh"), Extractor(["x", "y"], "{text}"), client=Client(endpoint=endpoint), limits=limits)
assert result.errors["code"].to_list() == ["invalid_answer"] * 8, result.errors
lines = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024)
"""


def big_bomb() -> bytes:
    """Return a megabyte that unpacks to a gigabyte."""
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    piece = bytes(2**20)
    return b"".join(packer.compress(piece) for _ in range(1024)) + packer.flush()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("kind", ["no_end", "bomb"])
def test_eight_hostile_answers_at_once_take_less_than_400_mb(kind: str) -> None:
    here = Path(__file__).parent
    words = [sys.executable, "-c", MEMORY, kind, str(here), str(here.parent)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) < 400
