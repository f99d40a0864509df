"""The asynchronous client over a real socket, against a server that behaves as badly as it is told to."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from extract import AsyncClient, Request, Retry, Turn, Unreachable
from extract.errors import ApiError, BadRequest, Denied, Overloaded, RateLimited
from extract.interactions.client import Endpoint
from extract.interactions.transport import Direct
from extract.interactions.wire import Call

KEY = "AIza-very-secret"
CALL = Call("POST", "/interactions", b'{"input":"hi"}')
ANSWER = b'{"status":"completed","steps":[{"type":"model_output","content":[{"type":"text","text":"x"}]}]}'
REQUEST = Request(model="gemini-3.5-flash-lite", input=(Turn.user("hi"),))

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """What a scripted server has seen: one entry of `received` for every request read whole."""

    url: str = ""
    received: list[bytes] = field(default_factory=list)
    opened: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)


def reply(
    body: bytes = ANSWER, status: str = "200 OK", *headers: str, length: int | None = None, close: bool = False
) -> Behaviour:
    """Answer with this; `close` ends the connection without having said that it would."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body) if length is None else length}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        if close:
            writer.close()

    return behave


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter) -> None:
    """Keep the connection and say nothing."""


async def chunks(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for piece in (ANSWER[:10], ANSWER[10:]):
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    writer.write(b"0\r\n\r\n")


@asynccontextmanager
async def serving(behaviour: Callable[[int], Behaviour]) -> AsyncIterator[Server]:
    """Serve on loopback; `behaviour` is asked with the number of the request on its connection, from 1."""
    server = Server()
    writers: list[asyncio.StreamWriter] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.opened += 1
        writers.append(writer)
        try:
            for number in range(1, 1_000_000):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                server.received.append(head + await reader.readexactly(length))
                await behaviour(number)(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            server.closed.set()
        finally:
            writer.close()

    listening = await asyncio.start_server(converse, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)


@pytest.fixture(params=["direct", "injected"])
def client_of(request: pytest.FixtureRequest) -> Callable[..., AsyncClient]:
    """Make a client of one server: on the default transport, or on one that the user brought."""

    def make(server: Server, *, read_timeout: float = 5.0, retry: Retry | None = None) -> AsyncClient:
        endpoint = Endpoint(api_key=KEY, base_url=server.url, read_timeout=read_timeout)
        transport = httpx.AsyncHTTPTransport() if request.param == "injected" else None
        return AsyncClient(endpoint=endpoint, transport=transport, retry=retry)

    return make


Make = Callable[..., AsyncClient]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("400 Bad Request", BadRequest),
        ("403 Forbidden", Denied),
        ("429 Too Many Requests", RateLimited),
        ("503 Service Unavailable", Overloaded),
        ("302 Found", ApiError),
    ],
)
async def test_a_refusal_is_told_by_its_status_and_costs_one_request(
    client_of: Make, status: str, error: type[ApiError]
) -> None:
    async with serving(lambda _: reply(b"{}", status, "location: /elsewhere")) as server, client_of(server) as client:
        with pytest.raises(error):
            await client.exchange(CALL)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "behaviour",
    [reply(), reply(gzip.compress(ANSWER), "200 OK", "content-encoding: gzip"), chunks],
    ids=["plain", "gzip", "chunked"],
)
async def test_an_answer_comes_whole_however_it_was_packed(client_of: Make, behaviour: Behaviour) -> None:
    async with serving(lambda _: behaviour) as server, client_of(server) as client:
        assert (await client.exchange(CALL)).body == ANSWER
        head, _, body = server.received[0].partition(b"\r\n\r\n")
    assert body == CALL.body
    assert f"x-goog-api-key: {KEY}".encode() in head


@pytest.mark.parametrize(
    "behaviour",
    [
        reset,
        reply(ANSWER[:20], length=len(ANSWER), close=True),
        reply(b"not gzip", "200 OK", "content-encoding: gzip"),
        reply(b"", "200 " + KEY * 2, "bad header\x00"),
    ],
    ids=["reset", "cut", "not_gzip", "bad_header"],
)
async def test_a_broken_answer_is_one_error_that_may_have_been_billed_and_hides_the_key(
    client_of: Make, behaviour: Behaviour
) -> None:
    async with serving(lambda _: behaviour) as server, client_of(server) as client:
        with pytest.raises(Unreachable) as caught:
            await client.exchange(CALL)
    assert caught.value.maybe_sent
    assert KEY not in str(caught.value)
    assert len(server.received) == 1


async def test_a_silent_server_is_left_when_the_read_timeout_is_over(client_of: Make) -> None:
    async with serving(lambda _: silence) as server, client_of(server, read_timeout=0.05) as client:
        with pytest.raises(Unreachable) as caught:
            await client.exchange(CALL)
        await asyncio.wait_for(server.closed.wait(), 5)
    assert caught.value.maybe_sent


async def test_a_cancelled_call_closes_its_connection_and_the_client_goes_on(client_of: Make) -> None:
    asked = 0

    def behaviour(_: int) -> Behaviour:
        nonlocal asked
        asked += 1
        return silence if asked == 1 else reply()

    async with serving(behaviour) as server, client_of(server) as client:
        task = asyncio.create_task(client.exchange(CALL))
        while not server.received:  # noqa: ASYNC110 - what is waited for is a list
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.closed.wait(), 5)
        assert (await client.exchange(CALL)).body == ANSWER
    assert server.opened == 2


async def test_connections_are_kept_and_used_again(client_of: Make) -> None:
    async with serving(lambda _: reply()) as server, client_of(server) as client:
        for _ in range(5):
            await client.exchange(CALL)
    assert (len(server.received), server.opened) == (5, 1)


async def test_a_server_that_closes_kept_connections_is_sent_nothing_beyond_what_the_client_counts(
    client_of: Make,
) -> None:
    # The close comes unannounced, so some requests meet a connection that is already gone.
    sent = 0

    async def close(writer: asyncio.StreamWriter) -> None:
        writer.close()

    def behaviour(number: int) -> Behaviour:
        return reply(close=True) if number == 3 else reply()

    async with serving(behaviour) as server, client_of(server) as client:
        answered = 0
        for _ in range(200):
            while True:
                sent += 1
                try:
                    await client.exchange(CALL)
                except Unreachable:
                    continue
                answered += 1
                break
    assert answered == 200
    assert 200 <= len(server.received) <= sent


async def test_a_request_read_and_then_dropped_on_a_kept_connection_is_not_sent_again_unseen(client_of: Make) -> None:
    async with serving(lambda number: reset if number == 2 else reply()) as server, client_of(server) as client:
        await client.exchange(CALL)
        with pytest.raises(Unreachable) as caught:
            await client.exchange(CALL)
    assert caught.value.maybe_sent
    assert len(server.received) == 2


async def test_create_repeats_what_broke_and_counts_every_sending(client_of: Make) -> None:
    behaviours: list[Any] = [reset, reply(b"{}", "503 Service Unavailable"), reply()]
    retry = Retry(first_wait=0.001, longest_wait=0.01)
    async with serving(lambda _: behaviours.pop(0)) as server, client_of(server, retry=retry) as client:
        assert (await client.create(REQUEST)).text == "x"
    assert len(server.received) == 3


async def test_a_proxy_of_the_environment_is_shown_its_own_password_and_not_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heads: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(proxy, "127.0.0.1", 0)
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:word@127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with listening, AsyncClient(KEY, base_url="https://service.invalid") as client:
        with pytest.raises(Unreachable) as caught:
            await client.exchange(CALL)
    assert heads[0].startswith(b"CONNECT service.invalid:443 ")
    assert b"proxy-authorization: basic " + base64.b64encode(b"me:word").lower() in heads[0].lower()
    assert KEY.encode() not in heads[0]  # it is for the service alone
    assert "me:word" not in str(caught.value)
    assert not caught.value.maybe_sent


async def test_no_password_from_a_netrc_file_travels_with_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = tmp_path / "netrc"
    passwords.write_text("default login me password from-the-file\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("NETRC", str(passwords))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    # No foreign address may be reached from here, so this machine is made to pass for one.
    monkeypatch.setattr("extract.interactions.addresses.is_loopback", lambda _: False)
    async with serving(lambda _: reply()) as server:
        direct = Direct(f"{server.url}/v1", {"x-goog-api-key": KEY}, 5.0)
        assert (await direct.send(CALL)).status == 200
        await direct.aclose()
    assert KEY.encode() in server.received[0]
    assert b"authorization" not in server.received[0].lower()
