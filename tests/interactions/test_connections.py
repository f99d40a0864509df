"""Kept connections at the socket, on asyncio's loop and on uvloop's."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from certificate import make_certificate
from httptools import HttpParserError, HttpParserUpgrade
from scripted import ANSWER, Behaviour, Server, chunks, listening, reply, serving, silence

from extract import AsyncClient, ConfigError, Request
from extract.interactions.http.calls import Bounds, Call, Reply
from extract.interactions.http.connections import Connections, NotConnected

HEAD = b"POST /v1/interactions HTTP/1.1\r\nhost: here\r\ncontent-length: "

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
with suppress(ImportError):  # it is optional, and there is none for Windows
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=LOOPS)
def in_loop(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine in a loop of one kind."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(work)

    return run


async def send(connections: Connections, body: bytes = b"{}", silence: float = 5.0) -> Reply:
    return await connections.send(HEAD + b"%d\r\n\r\n" % len(body), body, Bounds(silence))


def open_to(server: Server) -> Connections:
    return Connections(httpx.URL(server.url), None)


def raw(text: bytes, *, close: bool = False) -> Behaviour:
    """Answer with these bytes."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()
        if close:
            writer.close()

    return behave


@pytest.mark.parametrize(
    "behaviour",
    [
        reply(),
        chunks,
        raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER),
        raw(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.0 200 OK\r\n\r\n" + ANSWER, close=True),
        raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + ANSWER, close=True),
    ],
    ids=["length", "chunked", "continue", "http_1_0", "until_closed"],
)
def test_an_answer_is_read_to_its_end_however_that_is_marked(in_loop: Run, behaviour: Behaviour) -> None:
    async def main() -> None:
        async with serving(lambda _: behaviour) as server:
            connections = open_to(server)
            for _ in range(3):
                answer = await send(connections)
                assert (answer.status, answer.body) == (200, ANSWER)
            await connections.aclose()

    in_loop(main())


def test_an_answer_that_comes_byte_by_byte_is_whole(in_loop: Run) -> None:
    async def dribble(writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-One: 1\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER:
            writer.write(bytes([byte]))
            await writer.drain()

    async def main() -> Reply:
        async with serving(lambda _: dribble) as server:
            connections = open_to(server)
            answer = await send(connections)
            await connections.aclose()
            return answer

    assert in_loop(main()) == (200, {"x-one": "1", "content-length": str(len(ANSWER))}, ANSWER)


def test_a_service_that_says_it_will_close_is_asked_on_a_new_connection(in_loop: Run) -> None:
    async def main() -> int:
        async with serving(lambda _: reply(ANSWER, "200 OK", "connection: close")) as server:
            connections = open_to(server)
            for _ in range(3):
                await send(connections)
            await connections.aclose()
            return server.opened

    assert in_loop(main()) == 3


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one(in_loop: Run) -> None:
    stray = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 5\r\n\r\nstray"
    good = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER

    async def main() -> None:
        async with serving(lambda _: raw(good + stray)) as server:
            connections = open_to(server)
            for _ in range(5):
                assert (await send(connections)).body == ANSWER
            await connections.aclose()

    in_loop(main())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"this is not HTTP\r\n\r\n", HttpParserError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncontent-length: 11\r\n\r\n0123456789", HttpParserError),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", HttpParserError),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n", HttpParserUpgrade),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123", ConnectionResetError),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\n0123\r\n", ConnectionResetError),
        (b"HTTP/1.1 200", ConnectionResetError),
        (b"", ConnectionResetError),
    ],
)
def test_what_is_no_whole_answer_is_an_error_that_may_have_been_billed(
    in_loop: Run, text: bytes, error: type[Exception]
) -> None:
    async def main() -> None:
        async with serving(lambda _: raw(text, close=True)) as server:
            connections = open_to(server)
            with pytest.raises(error) as caught:
                await send(connections)
            assert not isinstance(caught.value, NotConnected)
            await connections.aclose()

    in_loop(main())


def test_a_large_body_arrives_whole_at_a_service_that_reads_slowly(in_loop: Run) -> None:
    body = bytes(range(256)) * 40_000  # 10 MB, far beyond any buffer

    async def main() -> bytes:
        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            left = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            while left:
                got.append(await reader.read(min(left, 200_000)))
                left -= len(got[-1])
                await asyncio.sleep(0)
            await reply()(writer)

        got: list[bytes] = []
        async with listening(converse) as port:
            connections = Connections(httpx.URL(f"http://127.0.0.1:{port}"), None)
            assert (await send(connections, body)).body == ANSWER
            await connections.aclose()
        return b"".join(got)

    assert in_loop(main()) == body


def test_a_body_that_is_refused_before_it_is_read_is_answered_at_once(in_loop: Run) -> None:
    async def main() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await reply(b"too large", "413 Content Too Large")(writer)
            await asyncio.sleep(30)

        async with listening(refuse) as port:
            connections = Connections(httpx.URL(f"http://127.0.0.1:{port}"), None)
            sending = send(connections, bytes(50_000_000), silence=20.0)
            assert (await asyncio.wait_for(sending, 10)).status == 413
            await connections.aclose()

    in_loop(main())


def test_silence_is_counted_from_the_last_byte_and_ends_only_the_exchange_that_is_silent(in_loop: Run) -> None:
    async def slowly(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(ANSWER))
        for start in range(0, len(ANSWER), 10):
            await asyncio.sleep(0.05)
            writer.write(ANSWER[start : start + 10])

    requests = 0

    def behaviour(_: int) -> Behaviour:
        nonlocal requests
        requests += 1
        return silence if requests == 1 else slowly

    async def main() -> None:
        async with serving(behaviour) as server:
            connections = open_to(server)
            silent = asyncio.create_task(send(connections, silence=0.2))
            while not server.received:  # noqa: ASYNC110 - what is waited for is a list
                await asyncio.sleep(0)
            answer = await send(connections, silence=0.2)
            assert answer.body == ANSWER
            with pytest.raises(TimeoutError, match=r"silent for 0\.2 s"):
                await silent
            await connections.aclose()

    in_loop(main())


def test_a_connection_that_was_kept_too_long_is_not_used(in_loop: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.interactions.http.connections._IDLE_SECONDS", 0.0)

    async def main() -> int:
        async with serving(lambda _: reply()) as server:
            connections = open_to(server)
            for _ in range(3):
                await send(connections)
            await connections.aclose()
            return server.opened

    assert in_loop(main()) == 3


def test_an_idle_connection_is_closed_in_time(in_loop: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extract.interactions.http.connections._IDLE_SECONDS", 0.2)

    async def main() -> None:
        async with serving(lambda _: reply()) as server:
            connections = open_to(server)
            await send(connections, silence=0.4)
            await asyncio.wait_for(server.closed.wait(), 5)

    in_loop(main())


def test_a_connection_that_the_service_has_closed_is_not_used_again(in_loop: Run) -> None:
    async def main() -> int:
        async with serving(lambda _: reply(close=True)) as server:
            connections = open_to(server)
            for _ in range(5):
                await send(connections)
                await asyncio.sleep(0.02)
            await connections.aclose()
            return server.opened

    assert in_loop(main()) == 5


def test_a_closed_client_cuts_what_is_under_way_and_sends_no_more(in_loop: Run) -> None:
    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + ANSWER[:10])  # its end would be that of the connection

    async def main() -> None:
        async with serving(lambda _: half) as server:
            connections = open_to(server)
            under_way = asyncio.create_task(send(connections))
            while not server.received:  # noqa: ASYNC110 - what is waited for is a list
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            await connections.aclose()
            with pytest.raises(ConnectionAbortedError):
                await under_way
            with pytest.raises(NotConnected):
                await send(connections)
            assert len(server.received) == 1

    in_loop(main())


def test_a_refusal_of_a_large_body_ends_the_connection_that_it_may_still_be_stuck_in(in_loop: Run) -> None:
    async def main() -> list[int]:
        opened: list[int] = []

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            opened.append(len(opened))
            await reader.readuntil(b"\r\n\r\n")
            await (reply(b"slow down", "429 Too Many Requests") if len(opened) == 1 else reply())(writer)
            await asyncio.sleep(30)

        async with listening(refuse) as port:
            connections = Connections(httpx.URL(f"http://127.0.0.1:{port}"), None)
            statuses = [(await send(connections, bytes(200_000), silence=5.0)).status for _ in range(2)]
            await connections.aclose()
        return statuses

    assert in_loop(main()) == [429, 200]


def _gzipped(*members: bytes) -> bytes:
    return b"".join(gzip.compress(member, mtime=0) for member in members)  # without the time, in the tests' names


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", _gzipped(ANSWER)),
        ("GZIP ", _gzipped(ANSWER)),
        ("x-gzip", _gzipped(ANSWER[:7], ANSWER[7:])),
        ("deflate", zlib.compress(ANSWER)),
        ("identity", ANSWER),
    ],
)
def test_an_answer_packed_against_our_wish_is_unpacked(in_loop: Run, coding: str, packed: bytes) -> None:
    async def main() -> None:
        async with serving(lambda _: reply(packed, "200 OK", f"content-encoding: {coding}")) as server:
            connections = open_to(server)
            assert (await send(connections)).body == ANSWER
            await connections.aclose()

    in_loop(main())


@pytest.mark.parametrize(("coding", "packed"), [("br", b"x"), ("gzip, gzip", b"x"), ("gzip", _gzipped(ANSWER)[:-9])])
def test_an_answer_that_cannot_be_unpacked_says_so(in_loop: Run, coding: str, packed: bytes) -> None:
    async def main() -> None:
        async with serving(lambda _: reply(packed, "200 OK", f"content-encoding: {coding}")) as server:
            connections = open_to(server)
            with pytest.raises(ValueError, match="compressed"):
                await send(connections)
            await connections.aclose()

    in_loop(main())


def test_what_comes_after_the_last_chunk_changes_nothing(in_loop: Run) -> None:
    text = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: content-encoding\r\n\r\n%x\r\n" % len(ANSWER)
    text += ANSWER + b"\r\n0\r\ncontent-encoding: gzip\r\n\r\n"

    async def main() -> None:
        async with serving(lambda _: raw(text)) as server:
            connections = open_to(server)
            for _ in range(2):
                assert (await send(connections)).body == ANSWER
            await connections.aclose()
            assert server.opened == 1

    in_loop(main())


def test_a_port_that_nobody_listens_on_is_known_to_have_got_nothing(in_loop: Run) -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        connections = Connections(httpx.URL(f"http://127.0.0.1:{port}"), None)
        with pytest.raises(NotConnected):
            await send(connections)

    in_loop(main())


def test_many_at_once_get_each_its_own_answer(in_loop: Run) -> None:
    async def main() -> None:
        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r")[0]))
                await asyncio.sleep(int(body) % 7 / 1000)
                await reply(b"to " + body)(writer)

        async with listening(converse) as port:
            connections = Connections(httpx.URL(f"http://127.0.0.1:{port}"), None)

            async def ask(number: int) -> bool:
                return (await send(connections, b"%d" % number)).body == b"to %d" % number

            for _ in range(5):
                assert all(await asyncio.gather(*map(ask, range(100))))
            await connections.aclose()

    in_loop(main())


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's context, with a certificate from an authority that this process is told to trust."""
    shown, authority = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    return context


def test_tls_is_spoken_with_who_shows_a_trusted_certificate(in_loop: Run, certificate: ssl.SSLContext) -> None:
    call = Call("POST", "/interactions", b"{}")

    async def main() -> int:
        async with (
            serving(lambda _: reply(), certificate) as server,
            AsyncClient("AIza-key", base_url=server.url) as client,
        ):
            for _ in range(3):
                assert (await client.exchange(call)).body == ANSWER
            return server.opened

    assert in_loop(main()) == 1


@pytest.mark.parametrize("brought", [None, httpx.AsyncHTTPTransport], ids=["direct", "httpx"])
def test_a_certificate_that_is_not_trusted_gets_nothing_and_is_not_tried_again(
    in_loop: Run, certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, brought: Any
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    async def main() -> None:
        async with (
            serving(lambda _: reply(), certificate) as server,
            AsyncClient("AIza-key", base_url=server.url, transport=brought and brought()) as client,
        ):
            with pytest.raises(ConfigError, match=r"not trusted.*CERTIFICATE_VERIFY_FAILED.*SSL_CERT_FILE"):
                await client.create(Request(model="gemini-3.5-flash-lite", input="hi"))
            assert not server.received
            assert server.opened == 0

    in_loop(main())
