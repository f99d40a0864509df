"""The asynchronous client over a real socket, against a server that behaves as badly as it is told to."""

from __future__ import annotations

import asyncio
import base64
import gzip
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from scripted import ANSWER, Behaviour, Server, chunks, reply, reset, serving, silence

from extract import (
    AsyncClient,
    Client,
    ConfigError,
    Emulator,
    Extractor,
    Request,
    Retry,
    Run,
    Turn,
    Unreachable,
    run,
    run_async,
)
from extract.errors import ApiError, BadRequest, Denied, Overloaded, RateLimited
from extract.interactions.endpoint import Endpoint
from extract.interactions.http.calls import Bounds, Call
from extract.interactions.http.transport import DirectTransport
from extract.testing import running_server

KEY = "AIza-very-secret"
CALL = Call("POST", "/interactions", b'{"input":"hi"}')
REQUEST = Request(model="gemini-3.5-flash-lite", input=(Turn.user("hi"),))


@pytest_asyncio.fixture(params=["direct", "transport", "http_client"])
async def client_of(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., AsyncClient]]:
    """Make a client of one server: on the default transport, or on a transport or httpx client of the user's."""
    # The user's own client follows redirects and has a timeout of its own: ours are what counts.
    brought: dict[str, Callable[[], Any]] = {
        "transport": httpx.AsyncHTTPTransport,
        "http_client": lambda: httpx.AsyncClient(follow_redirects=True, timeout=60.0, trust_env=False),
    }

    def make(server: Server, *, read_timeout: float = 5.0, retry: Retry | None = None) -> AsyncClient:
        endpoint = Endpoint(api_key=KEY, base_url=server.url, read_timeout=read_timeout)
        own = {name: brought[name]() for name in brought if name == request.param}
        opened.extend(own.values())
        return AsyncClient(endpoint=endpoint, retry=retry, **own)

    opened: list[Any] = []
    yield make
    for one in opened:
        await one.aclose()


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
    [reply(), reply(gzip.compress(ANSWER, mtime=0), "200 OK", "content-encoding: gzip"), chunks],
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


async def test_a_user_and_a_password_in_the_address_are_told_to_the_gateway(client_of: Make) -> None:
    async with serving(lambda _: reply()) as server:
        server.url = server.url.replace("http://", "http://me:w%20rd@") + "/behind"
        async with client_of(server) as client:
            await client.exchange(CALL)
            await client.exchange(Call("POST", "/interactions", b"{}", {"x-more": "1"}))
    header = b"authorization: basic " + base64.b64encode(b"me:w rd").lower()
    assert len(server.received) == 2
    assert all(header in received.lower() for received in server.received)
    assert all(received.startswith(b"POST /behind/v1/interactions ") for received in server.received)


async def test_an_error_that_is_its_own_cause_is_told_like_any_other() -> None:
    class Circle(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            error = RuntimeError("round and round")
            raise error from error

    async with AsyncClient(KEY, base_url="http://127.0.0.1:1", transport=Circle()) as client:
        with pytest.raises(Unreachable, match="round and round"):
            await client.exchange(CALL)


async def test_one_bad_certificate_ends_nothing_once_the_service_has_answered() -> None:
    class Moody(httpx.AsyncBaseTransport):
        requests = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.requests += 1
            if self.requests == 2:
                raise httpx.ConnectError("refused") from ssl.SSLCertVerificationError("expired")
            return httpx.Response(200, content=ANSWER)

    retry = Retry(first_wait=0.001, longest_wait=0.01)
    async with AsyncClient(KEY, base_url="http://127.0.0.1:1", transport=Moody(), retry=retry) as client:
        for _ in range(2):
            assert (await client.create(REQUEST)).text == "x"


def test_threads_that_share_a_new_client_open_one_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[httpx.Client] = []

    class Counted(httpx.Client):
        def __init__(self, **options: Any) -> None:
            opened.append(self)
            time.sleep(0.02)
            super().__init__(**options)

    monkeypatch.setattr(httpx, "Client", Counted)
    with running_server(Emulator(answers=lambda _: "x")) as url, Client(KEY, base_url=url) as client:
        threads = [threading.Thread(target=client.create, args=(REQUEST,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(opened) == 1


async def test_a_silent_server_is_left_when_the_read_timeout_is_over(client_of: Make) -> None:
    async with serving(lambda _: silence) as server, client_of(server, read_timeout=0.05) as client:
        with pytest.raises(Unreachable) as caught:
            await client.exchange(CALL)
        await asyncio.wait_for(server.closed.wait(), 5)
    assert caught.value.maybe_sent


async def test_a_cancelled_call_closes_its_connection_and_the_client_goes_on(client_of: Make) -> None:
    requests = 0

    def behaviour(_: int) -> Behaviour:
        nonlocal requests
        requests += 1
        return silence if requests == 1 else reply()

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
    monkeypatch.setattr("extract.interactions.http.origins.is_loopback", lambda _: False)
    async with serving(lambda _: reply()) as server:
        direct = DirectTransport(f"{server.url}/v1", {"x-goog-api-key": KEY}, lambda _: Bounds(5.0))
        assert (await direct.send(CALL)).status == 200
        incoming = await direct.stream(CALL)
        assert (await incoming.read()).body == ANSWER
        await direct.aclose()
    assert len(server.received) == 2
    assert all(KEY.encode() in received for received in server.received)
    assert not any(b"authorization" in received.lower() for received in server.received)


async def test_a_users_own_client_stays_open_and_is_given_the_key_for_our_calls_only() -> None:
    async with serving(lambda _: reply()) as server, httpx.AsyncClient(trust_env=False) as own:
        async with AsyncClient(KEY, base_url=server.url, http_client=own) as client:
            await client.exchange(CALL)
        await own.post(server.url, content=b"{}")
    assert [KEY.encode() in received for received in server.received] == [True, False]


async def test_a_transport_and_a_client_at_once_are_refused() -> None:
    async with httpx.AsyncClient() as own:
        with pytest.raises(ConfigError, match="leave out transport="):
            AsyncClient(KEY, http_client=own, transport=httpx.AsyncHTTPTransport())


def test_a_run_goes_through_a_users_own_client() -> None:
    with running_server(Emulator(answers=lambda _: '{"value": "bug"}')) as url:
        seen: list[httpx.Request] = []

        async def main() -> Run:
            async def see(request: httpx.Request) -> None:
                seen.append(request)

            async with httpx.AsyncClient(event_hooks={"request": [see]}, trust_env=False) as own:
                client = AsyncClient(KEY, base_url=url, http_client=own)
                return await run_async(["a", "b"], Extractor(["bug"], "{text}"), client=client)

        result = asyncio.run(main())
    assert result.frame["value"].to_list() == ["bug", "bug"]
    assert [request.method for request in seen] == ["POST", "POST"]


def test_a_run_needs_a_client_of_the_kind_that_can_wait() -> None:
    with httpx.Client() as own, pytest.raises(ConfigError, match="asynchronous http_client"):
        run(["a"], Extractor(["bug"], "{text}"), client=Client(KEY, base_url="http://127.0.0.1:1", http_client=own))
