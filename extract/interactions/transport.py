"""The HTTP transports under the clients, and the one place where their exceptions become ours.

httpx's own pool scans all its connections for every request, so at hundreds of connections it reaches a few per cent of
what the service would give; and its request and response objects cost more than all the rest of a record. The
asynchronous client therefore speaks through aiohttp itself (`Direct`), unless the user brings an httpx transport.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from ipaddress import ip_address
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from extract.errors import BadRequest, ConfigError, Unreachable
from extract.interactions.wire import Call, Reply

__all__ = [
    "Direct",
    "Incoming",
    "check_origin",
    "check_url",
    "headers",
    "is_loopback",
    "read_timeout",
    "unreachable",
    "without_key",
]

KEY_HEADER = "x-goog-api-key"
_CONNECT_SECONDS = 15.0
_LARGE_BODY = 2**20
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A reply of which only the head is there: its bytes come from `chunks`, or all at once from `read`."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    read: Callable[[], Awaitable[bytes]]
    close: Callable[[], Awaitable[None]]


class Direct:
    """Calls to one address over aiohttp: as many connections as requests in flight, each kept for 30 seconds.

    A proxy is read from the environment as curl does, once, when the first call is sent. A POST is never repeated in
    here, redirects are not followed, and no cookie is kept. `read_timeout` is in seconds.
    """

    def __init__(self, root: str, headers: Mapping[str, str], read_timeout: float) -> None:
        self._root = root
        self._headers = CIMultiDict(headers)  # the form that aiohttp would make of them for every call
        self._urls: dict[str, URL] = {}
        self._timeout = _timeout(read_timeout)
        self._session: aiohttp.ClientSession | None = None
        self._proxy_headers: dict[str, str] | None = None

    async def send(self, call: Call) -> Reply:
        """Send a call once; raises what aiohttp raises."""
        async with self._request(call) as response:
            return Reply(response.status, response.headers, await response.read())

    async def stream(self, call: Call) -> Incoming:
        """Send a call once and return as soon as its reply begins; raises what aiohttp raises."""
        response = await self._request(call)

        async def close() -> None:
            response.close()  # not released: a stream left in the middle must not leave its connection behind

        return Incoming(
            response.status, response.headers, response.content.iter_any().__aiter__(), response.read, close
        )

    def _request(self, call: Call) -> aiohttp.client._RequestContextManager:
        session = self._session or self._open()
        # The headers go with the call and not with the session, whose own headers a proxy is shown in the clear.
        return session.request(
            call.method,
            URL(call.url, encoded=True) if call.url else self._urls.get(call.path) or self._url(call.path),
            # aiohttp sends a stream in pieces; many bytes at once hold up the loop, and it warns of them.
            data=(BytesIO(call.body) if len(call.body) > _LARGE_BODY else call.body) or None,
            headers=self._with(call) if call.headers or call.bare else self._headers,
            proxy_headers=self._proxy_headers,
            allow_redirects=False,
            timeout=self._timeout if call.timeout is None else _timeout(call.timeout),
        )

    def _with(self, call: Call) -> CIMultiDict[str]:
        headers = self._headers.copy()
        if call.bare:
            headers.popall(KEY_HEADER, None)
        headers.update(call.headers)
        return headers

    def _url(self, path: str) -> URL:
        """Parse an address once where it will be called again and again: other paths hold an id."""
        url = URL(self._root + path)
        if path.count("/") == 1:
            self._urls[path] = url
        return url

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """Make the session in the loop that uses it."""
        url = httpx.URL(self._root)
        proxy = _proxy_for(url)
        self._proxy_headers = _shown_to(proxy)
        # The same certificates as httpx trusts; reading them takes a moment, and plain http needs none.
        trusted = httpx.create_ssl_context() if url.scheme == "https" else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0, ssl=trusted),
            # aiohttp's own reading of the environment would enter two threads for every call, look into ~/.netrc in
            # one of them, and send what it finds there along with the key.
            trust_env=False,
            proxy=str(proxy.url) if proxy else None,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
        )
        return self._session


def _timeout(read: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=read)


def _proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy that the environment names for an address; there is none for this machine's own."""
    if is_loopback(url.host) or proxy_bypass(url.host):
        return None
    named = getproxies()
    proxy = named.get(url.scheme) or named.get("all")
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def _shown_to(proxy: httpx.Proxy | None) -> dict[str, str] | None:
    """Return the header with a proxy's password. Apart from its address, which aiohttp quotes in its errors."""
    if proxy is None or proxy.raw_auth is None:
        return None
    return {"proxy-authorization": f"Basic {b64encode(b':'.join(proxy.raw_auth)).decode()}"}


def read_timeout(service_tier: str | None) -> float:
    """Seconds to wait for an answer. Flex requests queue for up to 15 minutes (Google's page on flex inference)."""
    return 900.0 if service_tier == "flex" else 300.0


def unreachable(call: Call, error: Exception, *, secret: str) -> Unreachable:
    """Return what stands for whatever a transport has raised, without `secret`.

    The classes are not trusted: a reset after the request was read comes as a connect error from some transports, and a
    user's own transport may raise anything. Only a connection that was never made is known to have sent nothing.
    """
    try:
        told = str(error)
    except Exception:  # a transport of the user's may raise what cannot say what it is
        told = ""
    said = " ".join(f"{type(error).__name__} {told}".replace(secret, "[key]").split())[:200]
    never_sent = isinstance(error, _NEVER_SENT) or isinstance(error.__cause__, _NEVER_SENT)
    return Unreachable(f"{call.method} {call.path}: {said}", maybe_sent=not never_sent)


def check_origin(call: Call, base_url: str) -> None:
    """Raise BadRequest where a call would take the key to another service, as an address in an answer might.

    A call without the key may go to any host, but not in the clear to another machine.
    """
    if call.url is None:
        return
    try:
        asked, ours = httpx.URL(call.url), httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise BadRequest(f"{call.method} {call.path}: the service named an address that is none: {error}") from None
    if (asked.scheme, asked.host, asked.port) == (ours.scheme, ours.host, ours.port):
        return
    if not call.bare:
        raise BadRequest(
            f"{call.method} {asked.host}: the service named an address of another service; the key is not sent there"
        )
    if not asked.host or not (asked.scheme == "https" or (asked.scheme == "http" and is_loopback(asked.host))):
        raise BadRequest(
            f"{call.method} {asked.scheme}://{asked.host}: the service named an address that is not https; nothing is "
            "sent there"
        )


def without_key(request: httpx.Request) -> httpx.Request:
    """Take the key off a request: as `auth` of a bare call, since httpx can only add to a client's headers."""
    request.headers.pop(KEY_HEADER, None)
    return request


def check_url(base_url: str, *, with_key: bool) -> httpx.URL:
    """Return the parsed URL. ConfigError where it is none, or where a key would travel in the clear."""
    try:
        url = httpx.URL(base_url.rstrip("/"))
        url.host.encode("idna")  # a label may be empty or too long: looking it up would fail later, and oddly
    except (httpx.InvalidURL, TypeError, AttributeError, UnicodeError) as error:
        raise ConfigError(f"the base URL {base_url!r} cannot be read: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"the base URL {base_url!r} must begin with https:// (or http:// for this machine)")
    if with_key and url.scheme != "https" and not is_loopback(url.host):
        raise ConfigError(f"the key is sent only over https or to this machine, not to {base_url!r}")
    return url


def is_loopback(host: str) -> bool:
    """True for addresses of this machine; a name that only begins like one is somebody else's."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def headers(api_key: str, agent: str) -> dict[str, Any]:
    """Headers of every call; the key travels here and nowhere else."""
    return {
        KEY_HEADER: api_key,
        "content-type": "application/json",
        "accept": "application/json",
        "user-agent": agent,
    }
