"""The transports under the asynchronous client, and the one place where their exceptions become ours.

httpx's own pool scans all its connections for every request, so at hundreds of connections it reaches a few per cent of
the service's throughput, and its request and response objects cost more than the rest of a record. Unless the user
brings an httpx transport, calls therefore go through `DirectTransport`: a run's requests over `Connections`, all
others, and everything where there is a proxy, through aiohttp.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from extract.errors import AnswerError, ConfigError, ExtractError, Unreachable
from extract.interactions.http.bodies import Allowance, in_time, read_async, unpacked_async
from extract.interactions.http.calls import Bounds, Call, Reply
from extract.interactions.http.connections import Connections, NotConnected
from extract.interactions.http.origins import auth_header, proxy_auth_header, proxy_for
from extract.interactions.secrets import struck_out

__all__ = ["DirectTransport", "Incoming", "headers", "read_timeout", "total_timeout", "unreachable"]

KEY_HEADER = "x-goog-api-key"
_CONNECT_SECONDS = 15.0
_LARGE_BODY = 2**20
_NEVER_SENT = (
    NotConnected,
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A reply whose head has come: its bytes come from `chunks`, or all at once, within bounds, from `read`."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    read: Callable[[], Coroutine[Any, Any, Reply]]
    close: Callable[[], Coroutine[Any, Any, None]]


class DirectTransport:
    """Calls to one service: as many connections as requests in flight, each kept idle for 30 seconds.

    A proxy is read from the environment as curl does, once, when the first call is sent. A POST is never repeated in
    here, redirects are not followed, and no cookie is stored. `bounds` says what the answer to a call may take, and
    `allowance` what all answers may hold together.
    """

    def __init__(
        self,
        root: str,
        headers: Mapping[str, str],
        bounds: Callable[[Call], Bounds],
        allowance: Allowance | None = None,
    ) -> None:
        self._root = httpx.URL(root)
        self._headers = CIMultiDict(headers)  # the form that aiohttp would make of them for every call
        self._bounds, self._allowance = bounds, allowance or Allowance()
        self._bounds_of: dict[tuple[float | None, float | None, bool], Bounds] = {}
        self._heads: dict[str, bytes] = {}
        self._proxy: httpx.Proxy | None = None
        self._connections: Connections | None = None
        self._session: aiohttp.ClientSession | None = None

    async def send(self, call: Call) -> Reply:
        """Send a call once; raises what the transport raises."""
        if call.method == "POST" and not (call.headers or call.bare or call.url):
            connections = self._connections or self._connect()
            if self._proxy is None:
                head = (self._heads.get(call.path) or self._head(call.path)) + b"%d\r\n\r\n" % len(call.body)
                kind = (call.timeout, call.total, call.media)  # all that bounds depend on: those of a run are alike
                bounds = self._bounds_of.get(kind) or self._bounds_of.setdefault(kind, self._bounds(call))
                return await connections.send(head, call.body, bounds)
        return await in_time(self._bounds(call).seconds, partial(self._exchange, call))

    async def _exchange(self, call: Call, timer: asyncio.Timeout) -> Reply:
        async with self._request(call) as response:
            return await self._read(response, call, timer)

    async def _read(self, response: aiohttp.ClientResponse, call: Call, timer: asyncio.Timeout | None = None) -> Reply:
        chunks = response.content.iter_any().__aiter__()
        size = self._bounds(call).size
        return await read_async(response.status, response.headers, chunks, size, self._allowance, timer)

    async def stream(self, call: Call) -> Incoming:
        """Send a call once and return as soon as its reply begins; raises what the transport raises."""
        response = await self._request(call)

        async def close() -> None:
            response.close()  # not released: the rest of a stream left in the middle would stay in its connection

        chunks = unpacked_async(response.content.iter_any().__aiter__(), response.headers)
        return Incoming(response.status, response.headers, chunks, partial(self._read, response, call), close)

    def _connect(self) -> Connections:
        """Make the connections, in the loop that uses them."""
        self._proxy = proxy_for(self._root)
        self._connections = Connections(self._root, self._trusted(), self._allowance)
        return self._connections

    def _trusted(self) -> ssl.SSLContext | None:
        """Return the certificates that httpx trusts; reading them takes a moment, and plain http needs none."""
        return httpx.create_ssl_context() if self._root.scheme == "https" else None

    def _head(self, path: str) -> bytes:
        """Return the head of a POST up to its length, stored for paths that are used again: others hold an id."""
        url = self._root.copy_with(raw_path=self._root.raw_path.rstrip(b"/") + path.encode("ascii"))
        # No compression: answers are small, and decompressing them is work.
        added = {"accept-encoding": "identity", **auth_header(url)}
        named = "".join(f"{name}: {value}\r\n" for name, value in (*self._headers.items(), *added.items()))
        lines = b"POST %b HTTP/1.1\r\nhost: %b\r\n%bcontent-length: "
        head = lines % (url.raw_path, url.netloc, named.encode("latin-1"))
        if path.count("/") == 1:
            self._heads[path] = head
        return head

    def _request(self, call: Call) -> aiohttp.client._RequestContextManager:
        session = self._session or self._open()
        # The headers, with the key, go with the call: a session's own are shown to a proxy unencrypted.
        return session.request(
            call.method,
            URL(call.url or f"{self._root}{call.path}", encoded=True),
            # aiohttp sends a stream in pieces; many bytes at once block the loop, and it warns of them.
            data=(BytesIO(call.body) if len(call.body) > _LARGE_BODY else call.body) or None,
            headers=self._with(call),
            proxy_headers=proxy_auth_header(self._proxy),
            allow_redirects=False,
            timeout=_timeout(self._bounds(call).silence),
        )

    def _with(self, call: Call) -> CIMultiDict[str]:
        headers = self._headers.copy()
        headers["accept-encoding"] = "gzip"
        if call.bare:
            headers.popall(KEY_HEADER, None)
        headers.update(call.headers)
        return headers

    async def aclose(self) -> None:
        if self._connections is not None:
            await self._connections.aclose()
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """Make the session, in the loop that uses it."""
        self._proxy = proxy_for(self._root)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0, ssl=self._trusted() or True),
            # With trust_env aiohttp uses two threads per call, reads ~/.netrc in one of them, and sends the
            # password there along with the key.
            trust_env=False,
            proxy=str(self._proxy.url) if self._proxy else None,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # aiohttp's has no bound that is ours
        )
        return self._session


def _timeout(read: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=read)


def read_timeout(service_tier: str | None) -> float:
    """Seconds to wait for an answer. Flex requests queue for up to 15 minutes (Google's page on flex inference)."""
    return 900.0 if service_tier == "flex" else 300.0


def total_timeout(service_tier: str | None) -> float:
    """Seconds from sending a request to the last byte of its answer."""
    return 1200.0 if service_tier == "flex" else 600.0


def unreachable(call: Call, error: Exception, *, secret: str, answered: bool) -> ExtractError:
    """Return the error of our tree for whatever a transport raised, with `secret` struck out of its message.

    An answer that came and passed its bounds is no matter of the connection, and a repeat would pass them again; nor is
    a client that was set up wrongly.

    A certificate that is not trusted is a matter of the set-up, which waiting does not mend; once the service has
    `answered`, it is one bad machine among several, and worth a retry.

    Classes are not relied on: some transports raise a connect error for a reset after the request was read, and a
    user's own transport may raise anything. Only a connection that was never made is known to have sent nothing.
    """
    if isinstance(error, AnswerError | ConfigError):  # of the second kind: scripted answers that are used up
        return error
    if isinstance(error, MemoryError):
        return AnswerError(f"{call.method} {call.path}: there is not enough memory for the answer")
    try:
        message = str(error)
    except Exception:  # a user's transport may raise something whose __str__ fails
        message = ""
    reported = struck_out(f"{type(error).__name__} {message}".encode("utf-8", "replace"), secret).decode()
    reason = " ".join(reported.split())[:200]
    untrusted = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))
    if untrusted and not answered:
        return ConfigError(
            f"{call.method} {call.path}: the service's certificate is not trusted, so nothing was sent ({reason}); "
            "SSL_CERT_FILE can name a file with the authorities to trust"
        )
    never_sent = untrusted or isinstance(error, _NEVER_SENT) or isinstance(error.__cause__, _NEVER_SENT)
    return Unreachable(f"{call.method} {call.path}: {reason}", maybe_sent=not never_sent)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # a user's transport may raise an error that is its own cause
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__  # httpx and httpcore set one or the other


def headers(api_key: str | None, agent: str) -> dict[str, str]:
    """Return the headers of a call, with a key or without."""
    key = {} if api_key is None else {KEY_HEADER: api_key}
    return key | {
        "content-type": "application/json",
        "accept": "application/json",
        "user-agent": agent,
    }
