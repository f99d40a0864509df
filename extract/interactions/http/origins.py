"""Which addresses may be called, with the key or without it, and through which proxy."""

from __future__ import annotations

from base64 import b64encode
from ipaddress import ip_address
from urllib.request import getproxies, proxy_bypass

import httpx

from extract.errors import BadRequest, ConfigError
from extract.interactions.http.calls import Call

__all__ = ["auth_header", "check_origin", "check_url", "is_loopback", "proxy_auth_header", "proxy_for"]


def check_url(base_url: str, *, with_key: bool) -> httpx.URL:
    """Return the parsed URL. ConfigError where it cannot be read, or where a key would be sent unencrypted."""
    try:
        url = httpx.URL(base_url.rstrip("/"))
        url.host.encode("idna")  # an empty or overlong label would fail later, in the look-up, with an obscure error
    except (httpx.InvalidURL, TypeError, AttributeError, UnicodeError) as error:
        raise ConfigError(f"the base URL {base_url!r} cannot be read: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"the base URL {base_url!r} must begin with https:// (or http:// for this machine)")
    if with_key and url.scheme != "https" and not is_loopback(url.host):
        raise ConfigError(f"the key is sent only over https or to this machine, not to {base_url!r}")
    return url


def check_origin(call: Call, base_url: str) -> None:
    """Raise BadRequest where a call would take the key to another service, as an address in an answer might.

    A call without the key may go to any host, but unencrypted only to this machine.
    """
    if call.url is None:
        return
    try:
        target, service = httpx.URL(call.url), httpx.URL(base_url)
    except httpx.InvalidURL as error:
        message = f"{call.method} {call.path}: the service named an address that cannot be read: {error}"
        raise BadRequest(message) from None
    if (target.scheme, target.host, target.port) == (service.scheme, service.host, service.port):
        return
    if not call.bare:
        raise BadRequest(
            f"{call.method} {target.host}: the service named an address of another service; the key is not sent there"
        )
    if not target.host or not (target.scheme == "https" or (target.scheme == "http" and is_loopback(target.host))):
        raise BadRequest(
            f"{call.method} {target.scheme}://{target.host}: the service named an address that is not https; nothing "
            "is sent there"
        )


def is_loopback(host: str) -> bool:
    """True for addresses of this machine; `127.0.0.1.example.com` is not one."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def proxy_for(url: httpx.URL) -> httpx.Proxy | None:
    """Return the proxy that the environment names for a URL; None for this machine's own addresses."""
    if is_loopback(url.host) or proxy_bypass(url.host):
        return None
    named = getproxies()
    proxy = named.get(url.scheme) or named.get("all")
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}") if proxy else None


def proxy_auth_header(proxy: httpx.Proxy | None) -> dict[str, str] | None:
    """Return the header with a proxy's password: in the proxy's URL, aiohttp would quote it in its errors."""
    if proxy is None or proxy.raw_auth is None:
        return None
    return {"proxy-authorization": _basic(*proxy.raw_auth)}


def auth_header(url: httpx.URL) -> dict[str, str]:
    """Return the header for a user and password in a URL, which a gateway before the service may need."""
    if not url.userinfo:
        return {}
    return {"authorization": _basic(url.username.encode(), url.password.encode())}


def _basic(user: bytes, password: bytes) -> str:
    return f"Basic {b64encode(user + b':' + password).decode()}"
