"""The HTTP transports under the clients, and the one place where their exceptions become ours.

httpx's own pool scans all its connections for every request, so at hundreds of connections it reaches a few per cent of
what the service would give. The asynchronous client therefore mounts aiohttp under httpx's API (httpx-aiohttp).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from extract.errors import ConfigError, Unreachable
from extract.interactions.wire import Call

__all__ = ["async_transport", "check_url", "headers", "is_loopback", "read_timeout", "translated"]


def async_transport(url: httpx.URL) -> httpx.AsyncBaseTransport:
    """Return the default transport: as many connections as there are requests in flight, each kept for 30 seconds.

    Proxies are read from the environment as curl does, but never asked for this machine's own addresses.
    """
    local = is_loopback(url.host)
    return AiohttpTransport(client=lambda: _session(trust_env=not local))


def _session(*, trust_env: bool) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30.0)
    return aiohttp.ClientSession(connector=connector, trust_env=trust_env, cookie_jar=aiohttp.DummyCookieJar())


def read_timeout(service_tier: str | None) -> float:
    """Seconds to wait for an answer. Flex requests queue for up to 15 minutes (Google's page on flex inference)."""
    return 900.0 if service_tier == "flex" else 300.0


@contextmanager
def translated(call: Call, *, secret: str) -> Iterator[None]:
    """Raise Unreachable for whatever the transport raises, without `secret`.

    The classes are not trusted: a reset after the request was read comes as a connect error from some transports, and a
    user's own transport may raise anything. Only a connection that was never made is known to have sent nothing.
    """
    try:
        yield
    except Exception as error:
        said = " ".join(f"{type(error).__name__} {error}".replace(secret, "[key]").split())[:200]
        never_sent = isinstance(error.__cause__, aiohttp.ClientConnectorError)
        raise Unreachable(f"{call.method} {call.path}: {said}", maybe_sent=not never_sent) from None


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
        "x-goog-api-key": api_key,
        "content-type": "application/json",
        "accept": "application/json",
        "user-agent": agent,
    }
