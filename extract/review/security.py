"""Who may ask the review page's server: this machine's own page, with its token, and nobody else."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from extract.errors import ConfigError

__all__ = ["MAX_BODY_BYTES", "TOKEN_HEADER", "BodyTooLarge", "Guard", "checked_hosts", "refusal"]

TOKEN_HEADER: Final = "X-Review-Token"  # noqa: S105 - its name, not the token
MAX_BODY_BYTES: Final = 16 * 2**20
"""Of one request: as large as an answer may be."""

_API: Final = "/api/"
_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class BodyTooLarge(Exception):
    """The body of a request has more than `MAX_BODY_BYTES`."""


def refusal(status: int, code: str, message: str, **more: object) -> Response:
    """Return an error as the page expects it."""
    return JSONResponse({"error": {"code": code, "message": message}, **more}, status)


def checked_hosts(names: Iterable[str]) -> frozenset[str]:
    """Return host names that are allowed beside those of this machine. ConfigError for what is no host name."""
    return frozenset(map(_host_name, names))


def _host_name(name: str) -> str:
    if _HOST.fullmatch(name) is None:
        raise ConfigError(f"--allow-host {name!r}: write the name of one machine, without port or path")
    return name.lower()


@dataclass(frozen=True, slots=True)
class Guard:
    """The application behind all checks: Host and Origin for every request, the token for all that holds data.

    A page of another site reaches this port from the same browser. It cannot read the token, its Origin is another one,
    and where it has bent the name of its own site to this machine's address, its Host is a name of the web.
    """

    app: ASGIApp
    token: str
    allowed: Collection[str] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return  # a web socket is closed by not being accepted

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        refused = self._refused(scope)
        answer = self.app if refused is None else refused
        await answer(scope, _bounded(receive), send_marked)

    def _refused(self, scope: Scope) -> Response | None:
        headers: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value.decode("latin-1"))
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or not self._is_allowed(hosts[0]):
            return refusal(403, "wrong_host", "this address is not served: open the link as it was printed")
        if any(not _is_same(origin, hosts[0]) for origin in headers.get(b"origin", [])):
            return refusal(403, "wrong_origin", "pages of another origin are not answered")
        if not scope["path"].startswith(_API):
            return None
        if not any(compare_digest(one.encode("latin-1"), self.token.encode()) for one in _tokens(headers)):
            return refusal(401, "no_token", "open the page by the link that `extract review` has printed")
        length = headers.get(b"content-length", ["0"])[0]
        if not length.isdecimal() or len(length) > 18 or int(length) > MAX_BODY_BYTES:
            return refusal(413, "too_large", f"a request has at most {MAX_BODY_BYTES:,} bytes")
        return None

    def _is_allowed(self, host: str) -> bool:
        name, port = _split_host(host.lower())
        return (name in _LOOPBACK or name in self.allowed) and (not port or port.isdecimal())


def _tokens(headers: dict[bytes, list[str]]) -> list[str]:
    given = headers.get(TOKEN_HEADER.lower().encode(), [])
    return given if len(given) == 1 else []


def _split_host(host: str) -> tuple[str, str]:
    """Return the name and the port of a Host header; the name of an address of version 6 has its brackets."""
    end = host.find("]") + 1 if host.startswith("[") else host.find(":")
    if end <= 0:
        return host, ""
    name, rest = host[:end], host[end:]
    return (name, rest[1:] or "-") if rest.startswith(":") else (name, rest and "-")


def _is_same(origin: str, host: str) -> bool:
    scheme, slashes, rest = origin.partition("://")
    return bool(slashes) and scheme in ("http", "https") and rest.lower() == host.lower()


def _bounded(receive: Receive) -> Receive:
    """Return `receive` that raises BodyTooLarge where a body without a length goes on for too long."""
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge
        return message

    return bounded
