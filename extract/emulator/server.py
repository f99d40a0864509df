"""The emulator on a real port, for every program that can use the Interactions API.

Beside the API itself: `GET /stats` returns the counters. `POST /faults` with a body such as `503=0.05,reset=0.02` lets
those faults strike from then on; `GET /faults` returns which do, and which there are. `POST /quota` with a body such as
`{"rpm": 3000}` replaces the quota (`rpm`, `tpm`, `rpd`; what is left out is not limited).
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from extract.emulator.emulator import Emulator
from extract.emulator.faults import FAULTS
from extract.emulator.in_thread import entered_in_thread
from extract.emulator.messages import WireRequest, WireResponse, error_response
from extract.errors import ConfigError, ExtractError

__all__ = ["build_app", "running_server", "serve"]

BACKLOG = 4096
KEEP_ALIVE_SECONDS = 300
"""Longer than a client keeps a connection: one closed while a request is on its way looks like a fault."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


MAX_BODY_BYTES = 128 * 2**20
"""Of one request: the API itself takes 100 MB with inline data, and files come in chunks."""


# No registry hands out names below these (RFC 2606, 6761, 6762 and 8375; ICANN on .internal, 2024).
_PRIVATE = (".localhost", ".local", ".internal", ".test", ".home.arpa")


class ClientLeft(Exception):
    """The client closed the connection before it had the whole response."""


class BodyTooLarge(Exception):
    """The body of a request has more than `MAX_BODY_BYTES`."""


def _refusal_of(scope: Scope) -> Response | None:
    """Return the answer to a request that a web page has sent, or that is too large; None for all others.

    Any page that is open in a browser may post to this machine. Its origin is another one, or, where it has bent the
    name of its own site to this machine's address, its host is a name of the web.
    """
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host, origin = headers.get(b"host", ""), headers.get(b"origin")
    if not _is_local_name(host):
        return _refused(403, f"the emulator is no host of the web: {host[:100]!r}")
    if origin is not None and origin.partition("://")[2] != host:
        return _refused(403, "the emulator takes no requests from web pages of another origin")
    length = headers.get(b"content-length", "0")
    if length.isdecimal() and int(length[:20]) > MAX_BODY_BYTES:
        return _refused(413, f"a body has at most {MAX_BODY_BYTES:,} bytes")
    return None


def _is_local_name(host: str) -> bool:
    """Return whether a host is an address or a name that no site of the web can have.

    These are names without a dot, and those of private networks: `host.docker.internal`, `emulator.svc.cluster.local`.
    """
    name = host[: host.rfind("]") + 1] if host.startswith("[") else host.partition(":")[0]
    with suppress(ValueError):
        ip_address(name.strip("[]"))
        return True
    return "." not in name or name.lower().endswith(_PRIVATE)


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"error": {"code": status, "message": message}}, status, {"connection": "close"})


def build_app(emulator: Emulator) -> ASGIApp:
    """Return the ASGI application that serves `emulator`. Broken deliveries need uvicorn to run it."""
    control = build_control(emulator)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := _refusal_of(scope)) is not None:
            await refused(scope, receive, send)
            return
        try:
            if scope["type"] != "http" or scope["path"] in ("/stats", "/faults", "/quota"):
                await control(scope, receive, send)
                return
            request = wire_request(scope, await read_body(receive))
        except BodyTooLarge:
            await _refused(413, f"a body has at most {MAX_BODY_BYTES:,} bytes")(scope, receive, send)
            return
        try:
            if emulator.transport.takes_long(request):
                async with entered_in_thread(emulator.exchange(request)) as response:
                    await deliver(response, receive, send)
            else:
                with emulator.exchange(request) as response:
                    await deliver(response, receive, send)
        except ClientLeft:
            return
        except ExtractError as error:
            await deliver(error_response(500, "api_error", str(error)), receive, send)

    return app


def build_control(emulator: Emulator) -> Router:
    """Return the routes that are not part of the API."""

    async def stats(_: Request) -> Response:
        return JSONResponse(emulator.stats())

    async def faults(request: Request) -> Response:
        if request.method != "POST":
            return JSONResponse({"faults": emulator.faults, "known": FAULTS})
        try:
            emulator.set_faults((await read_body(request.receive)).decode())
        except (ConfigError, UnicodeDecodeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({})

    async def quota(request: Request) -> Response:
        try:
            emulator.set_quota(**read_quota(await read_body(request.receive)))
        except ConfigError as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return JSONResponse({})

    return Router(
        [
            Route("/stats", stats),
            Route("/faults", faults, methods=["GET", "POST"]),
            Route("/quota", quota, methods=["POST"]),
        ]
    )


def read_quota(body: bytes) -> dict[str, int | None]:
    """Return the limits in the body of `POST /quota`; ConfigError for a body that holds none."""
    try:
        limits = from_json(body)
    except ValueError:
        limits = None
    if not isinstance(limits, dict) or not limits.keys() <= {"rpm", "tpm", "rpd"}:
        raise ConfigError('the quota must be a JSON object with rpm, tpm or rpd, such as {"rpm": 3000}')
    for name, limit in limits.items():
        if limit is not None and type(limit) is not int:
            raise ConfigError(f"{name} must be a whole number or null, not {limit!r}")
    return limits


async def read_body(receive: Receive) -> bytes:
    """Return the whole body of a request. BodyTooLarge where it is too long to be kept."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = bool(message.get("more_body"))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise BodyTooLarge
    return b"".join(parts)


def wire_request(scope: Scope, body: bytes) -> WireRequest:
    """Return an ASGI request as a WireRequest."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    text = scope["query_string"].decode("latin-1")
    query = dict(parse_qsl(text, keep_blank_values=True)) if text else {}
    host = headers.get("host") or "{}:{}".format(*scope["server"])
    return WireRequest(scope["method"], scope["path"], query, headers, body, f"{scope['scheme']}://{host}")


async def deliver(response: WireResponse, receive: Receive, send: Send) -> None:
    """Send `response` as it is to be delivered. ClientLeft where the client did not wait for its end."""
    connection = connection_of(send)
    if response.latency:
        await asyncio.sleep(response.latency)
    if response.reset:
        await hang_up(connection, receive, reset=True)
        return
    headers = [(name.encode(), value.encode()) for name, value in response.headers]
    if not response.frames:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.stall:
        await asyncio.sleep(response.stall)
    if response.whole and not response.frames:
        await send({"type": "http.response.body", "body": response.body})
    else:
        for piece in response.pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            # So that each piece is sent by itself, and a client that has left is noticed.
            await asyncio.sleep(0)
        if not response.whole:
            await hang_up(connection, receive, reset=False)
            return
        await send({"type": "http.response.body"})
    if getattr(connection, "disconnected", False):
        raise ClientLeft


def connection_of(send: Send) -> Any:
    """Return uvicorn's object behind `send`, which knows the socket; None under another server."""
    return getattr(send, "__self__", None)


async def hang_up(connection: Any, receive: Receive, *, reset: bool) -> None:
    """Close the client's connection at once: by a reset, or after what was written has been sent."""
    transport = getattr(connection, "transport", None)
    if transport is None:
        raise ConfigError("faults that break connections need the emulator to run under uvicorn")
    if reset:
        with suppress(OSError, ValueError):  # the client may have gone already; uvloop then names no socket
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        transport.abort()
    else:
        transport.close()
    # uvicorn must know of the end before the application returns, or it answers by itself.
    while (await receive())["type"] != "http.disconnect":
        pass


def open_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket. ConfigError where the address is not free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's delay only where the protocol is named; without that each answer takes 40 ms longer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return listening


def url_of(listening: socket.socket) -> str:
    """Return the base URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def build_server(emulator: Emulator) -> uvicorn.Server:
    """Return a server that logs nothing and leaves the logging of the process alone."""
    return uvicorn.Server(
        uvicorn.Config(
            build_app(emulator),
            access_log=False,
            log_config=None,
            lifespan="off",
            backlog=BACKLOG,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=1,
        )
    )


def serve(
    emulator: Emulator,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted. Port 0 picks a free one; `on_ready` gets the base URL once clients may connect."""
    with open_socket(host, port) as listening:
        if on_ready is not None:
            on_ready(url_of(listening))
        with suppress(KeyboardInterrupt):
            build_server(emulator).run(sockets=[listening])


@contextmanager
def running_server(emulator: Emulator) -> Iterator[str]:
    """Serve `emulator` from a thread on a free loopback port; yield the base URL, stop at the end of the context."""
    server = build_server(emulator)
    with open_socket("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="emulator", daemon=True)
        thread.start()
        try:
            yield url_of(listening)
        finally:
            server.should_exit = True
            thread.join()
