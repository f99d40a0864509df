"""Addresses of services: which may be called, with the key or without, and through which proxy."""

from __future__ import annotations

from base64 import b64encode
from ipaddress import ip_address
from urllib.request import getproxies, proxy_bypass

import httpx

from extract.errors import BadRequest, ConfigError
from extract.interactions.http.calls import Call

__all__ = ["check_origin", "check_url", "is_loopback", "password_header", "proxy_for", "shown_to_proxy"]


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


def is_loopback(host: str) -> bool:
    """True for addresses of this machine; a name that only begins like one is somebody else's."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy that the environment names for an address; there is none for this machine's own."""
    if is_loopback(url.host) or proxy_bypass(url.host):
        return None
    named = getproxies()
    proxy = named.get(url.scheme) or named.get("all")
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def shown_to_proxy(proxy: httpx.Proxy | None) -> dict[str, str] | None:
    """Return the header with a proxy's password. Apart from its address, which aiohttp quotes in its errors."""
    if proxy is None or proxy.raw_auth is None:
        return None
    return {"proxy-authorization": _basic(*proxy.raw_auth)}


def password_header(url: httpx.URL) -> dict[str, str]:
    """Return the header for a user and a password in an address, as a gateway before the service may want it."""
    if not url.userinfo:
        return {}
    return {"authorization": _basic(url.username.encode(), url.password.encode())}


def _basic(user: bytes, password: bytes) -> str:
    return f"Basic {b64encode(user + b':' + password).decode()}"
