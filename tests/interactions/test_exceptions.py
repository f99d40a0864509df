"""Whatever the transports raise becomes an error of our tree: each class of each library is entered here by hand.

The classes are listed by introspection: one that a new version brings fails the first test, until somebody has decided
whether a request may have been billed when it is raised.
"""

from __future__ import annotations

import asyncio
import builtins
import inspect
import ssl
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import aiohttp.client_exceptions
import aiohttp.http_exceptions
import httptools
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from extract import AsyncClient, Client, ConfigError, Unreachable
from extract.errors import ExtractError
from extract.interactions.http import connections
from extract.interactions.http.calls import Call
from extract.interactions.http.transport import DirectTransport

KEY = "AIza-very-secret"
CALL = Call("POST", "/interactions", b"{}")

LIBRARIES: tuple[ModuleType, ...] = (
    aiohttp.client_exceptions,
    aiohttp.http_exceptions,
    httpx,
    httptools,
    ssl,
    asyncio,
    connections,
)

NEVER_SENT = """
    ClientConnectorDNSError ClientConnectorError ClientConnectorSSLError ClientHttpProxyError ClientProxyConnectionError
    ClientSSLError ConnectionTimeoutError NotConnected UnixClientConnectorError
"""
UNTRUSTED = "ClientConnectorCertificateError SSLCertVerificationError"
MAYBE_SENT = """
    ClientConnectionError ClientConnectionResetError ClientError ClientOSError ClientPayloadError ClientResponseError
    ContentTypeError InvalidURL InvalidUrlClientError InvalidUrlRedirectClientError NonHttpUrlClientError
    NonHttpUrlRedirectClientError RedirectClientError ServerConnectionError ServerDisconnectedError
    ServerFingerprintMismatch ServerTimeoutError
    SocketTimeoutError TooManyRedirects UploadAbortedError WSMessageTypeError WSServerHandshakeError

    BadHttpMessage BadHttpMethod BadStatusLine ContentEncodingError ContentLengthError DecompressSizeError
    HttpBadRequest HttpProcessingError InvalidHeader InvalidURLError LineTooLong PayloadEncodingError
    TransferEncodingError

    CloseError ConnectError ConnectTimeout CookieConflict DecodingError HTTPError HTTPStatusError LocalProtocolError
    NetworkError PoolTimeout ProtocolError ProxyError ReadError ReadTimeout RemoteProtocolError RequestError
    RequestNotRead ResponseNotRead StreamClosed StreamConsumed StreamError TimeoutException TransportError
    UnsupportedProtocol WriteError WriteTimeout

    HttpParserCallbackError HttpParserError HttpParserInvalidMethodError HttpParserInvalidStatusError
    HttpParserInvalidURLError HttpParserUpgrade

    SSLEOFError SSLError SSLSyscallError SSLWantReadError SSLWantWriteError SSLZeroReturnError

    BlockingIOError BrokenPipeError ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError
    ConnectionResetError FileExistsError FileNotFoundError InterruptedError IsADirectoryError NotADirectoryError OSError
    PermissionError ProcessLookupError TimeoutError

    BrokenBarrierError IncompleteReadError InvalidStateError LimitOverrunError QueueEmpty QueueFull QueueShutDown
    SendfileNotAvailableError
"""
EXPECTED: dict[str, bool | None] = {
    **dict.fromkeys(MAYBE_SENT.split(), True),
    **dict.fromkeys(NEVER_SENT.split(), False),
    **dict.fromkeys(UNTRUSTED.split()),
}
"""Whether a request may have been sent; None where the certificate is not trusted."""


def exceptions() -> Iterator[type[BaseException]]:
    for library in LIBRARIES:
        for value in vars(library).values():
            if inspect.isclass(value) and issubclass(value, BaseException) and not issubclass(value, ExtractError):
                yield value
    yield from (one for one in vars(builtins).values() if inspect.isclass(one) and issubclass(one, OSError))


CLASSES = sorted(set(exceptions()), key=lambda one: (one.__module__, one.__name__))
KINDS = [pytest.param(one, id=f"{one.__module__}.{one.__name__}") for one in CLASSES if issubclass(one, Exception)]

REQUEST = httpx.Request("POST", "https://service.invalid")
HOST = ConnectionKey("service.invalid", 443, True, True, None, None, None)
HERE = URL("https://service.invalid")
INFO = aiohttp.RequestInfo(HERE, "POST", headers=CIMultiDictProxy(CIMultiDict()), real_url=HERE)
ARGUMENTS: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...] = (
    ((KEY,), {"request": REQUEST, "response": httpx.Response(500)}),
    ((KEY,), {}),
    ((), {}),
    ((HOST, OSError(1, KEY)), {}),
    ((HOST, ssl.SSLCertVerificationError(1, KEY)), {}),
    (("/socket", HOST, OSError(1, KEY)), {}),
    ((b"one", b"other", "service.invalid", 443), {}),
    ((INFO, ()), {}),
    ((KEY, KEY), {}),
    ((KEY, 1), {}),
    ((b"", 1), {}),
)


def made(kind: type[Exception]) -> Exception:
    """Return an exception of a class, made with whatever arguments it takes."""
    for positional, named in ARGUMENTS:
        try:
            error = kind(*positional, **named)
        except (TypeError, AttributeError):
            continue
        return error
    raise AssertionError(f"no arguments fit {kind}: add some to ARGUMENTS")


class Raising(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport that raises."""

    def __init__(self, kind: type[Exception]) -> None:
        self.kind = kind

    def handle_request(self, _: httpx.Request) -> httpx.Response:
        raise made(self.kind)

    async def handle_async_request(self, _: httpx.Request) -> httpx.Response:
        raise made(self.kind)


def check(kind: type[Exception], exchange: Callable[[], Any]) -> None:
    maybe_sent = EXPECTED[kind.__name__]
    with pytest.raises(ConfigError if maybe_sent is None else Unreachable) as caught:
        exchange()
    assert getattr(caught.value, "maybe_sent", None) is maybe_sent
    assert kind.__name__ in str(caught.value)
    assert KEY not in str(caught.value)


def test_every_exception_of_the_transports_is_entered_in_the_table() -> None:
    new = {one.__name__ for one in CLASSES} - EXPECTED.keys() - {"CancelledError"}
    assert not new, f"decide whether a request may have been sent when these are raised: {sorted(new)}"


def test_only_a_cancelled_task_is_no_exception_and_passes_as_it_is() -> None:
    assert [one for one in CLASSES if not issubclass(one, Exception)] == [asyncio.CancelledError]


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_becomes_ours_in_the_synchronous_client(kind: type[Exception]) -> None:
    with Client(KEY, transport=Raising(kind)) as client:
        check(kind, lambda: client.exchange(CALL))


@pytest.mark.parametrize("brought", [True, False], ids=["httpx", "direct"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_becomes_ours_in_the_asynchronous_client(
    kind: type[Exception], brought: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise made(kind)

    monkeypatch.setattr(DirectTransport, "send", fail)

    async def exchange() -> None:
        async with AsyncClient(KEY, transport=Raising(kind) if brought else None) as client:
            await client.exchange(CALL)

    check(kind, lambda: asyncio.run(exchange()))


@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_that_ends_a_stream_becomes_ours(kind: type[Exception]) -> None:
    """A stream has begun, so it may always have been billed."""

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            raise made(kind)

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Body()))
    with Client(KEY, transport=transport, sleep=lambda _: None) as client, client.follow("v1_x") as stream:
        expected = ConfigError if EXPECTED[kind.__name__] is None else Unreachable
        with pytest.raises(expected) as caught:
            stream.finish()
        assert KEY not in str(caught.value)
