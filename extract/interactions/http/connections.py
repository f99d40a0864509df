"""HTTP/1.1 exchanges over connections that are kept: asyncio writes, llhttp (httptools) reads, nothing in between.

A general client spends several times as much on one exchange as the socket does (benchmarks/README.md has figures), and
at hundreds of requests in flight that is what a run waits for. This is the road of a run's requests and of nothing
else: proxies, streams and redirects are left to a general client. HTTP/2 costs more here than it saves.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import cast

import httpx
from aiohappyeyeballs import start_connection
from aiohappyeyeballs.types import AddrInfoType
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from extract.interactions.http.calls import Reply

__all__ = ["Connections", "NotConnected"]

_CONNECT_SECONDS = 15.0
_KEPT_SECONDS = 30.0  # a service that closes kept connections later than this never meets a request with its close
_ADDRESS_SECONDS = 30.0
_EYEBALLS_SECONDS = 0.25  # until the next address of a host is tried beside the first (RFC 8305)
_PIECE = 256 * 1024
_READ_BEFORE_REFUSAL = 64 * 1024
_LOOKS = 8  # so many looks at an exchange before it is given up
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class NotConnected(OSError):
    """No connection was made, so nothing was sent."""


class _Connection(asyncio.Protocol):
    """One connection, with at most one exchange at a time. The methods named `on_...` are llhttp's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.usable = True
        self.heard = loop.time()  # when it last moved; after `silence` seconds more it is given up
        self.kept_since = 0.0
        self.silence = 0.0
        self._loop = loop
        self._transport: asyncio.Transport
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[Reply] | None = None
        self._room: asyncio.Future[None] | None = None
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._in_head = False
        self._ends_with_connection = False

    async def exchange(self, head: bytes, body: bytes, silence: float) -> Reply:
        """Send a request and return its reply; raises OSError or an error of httptools where none came whole."""
        self.heard, self.silence = self._loop.time(), silence
        waiter: asyncio.Future[Reply] = self._loop.create_future()
        self._waiter = waiter
        try:
            if len(body) <= _PIECE:
                self._transport.write(head + body)
            else:
                await self._write_in_pieces(head, body)
            return await waiter
        except BaseException:  # an answer that comes later must not be taken for that of another request
            self.abort()
            raise
        finally:
            self._waiter = None

    async def _write_in_pieces(self, head: bytes, body: bytes) -> None:
        """Write no more than the socket takes: what waits in asyncio's buffer is moved about with every send."""
        assert self._waiter is not None, "called in an exchange"
        self._transport.write(head)
        view = memoryview(body)
        for start in range(0, len(view), _PIECE):
            if self._room is not None:
                await self._room
            if self._waiter.done():  # refused before it was read
                self.usable = False
                return
            self.heard = self._loop.time()
            self._transport.write(view[start : start + _PIECE])

    def fail(self, error: Exception) -> None:
        """End the exchange, if there is one, and the connection."""
        self.usable = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self._make_room()
        self._transport.abort()

    def abort(self) -> None:
        self.usable = False
        self._ends_with_connection = False  # this end is no answer's
        self._transport.abort()

    def eof_received(self) -> None:
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self.heard = self._loop.time()
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        if error is None and self._ends_with_connection:
            self._finish()
        self.fail(error or ConnectionResetError("the connection was closed before the answer was whole"))

    def pause_writing(self) -> None:
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        self._make_room()

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def on_message_begin(self) -> None:
        self._headers, self._pieces = {}, []
        self._in_head, self._ends_with_connection = True, False
        if self._waiter is None or self._waiter.done():
            self.usable = False  # an answer that nobody has asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # what comes after the last chunk says nothing about the answer
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._in_head = False
        has_end = self._headers.keys() & {"content-length", "transfer-encoding"}
        self._ends_with_connection = not has_end

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._ends_with_connection = False
        if self._parser.get_status_code() < 200:
            return  # "continue", or a hint: the answer is still to come
        if not self._parser.should_keep_alive():
            self.usable = False
        self._finish()

    def _finish(self) -> None:
        if self._waiter is None or self._waiter.done():
            return
        try:
            body = _unpacked(b"".join(self._pieces), self._headers)
        except (ValueError, zlib.error) as error:
            self._waiter.set_exception(error)
        else:
            self._waiter.set_result(Reply(self._parser.get_status_code(), self._headers, body))
        self._make_room()  # for whoever is still writing what is not wanted any more


def _unpacked(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a body as it was before a service packed it, which it was asked not to do."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding in ("identity", ""):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise ValueError(f"an answer packed as {coding[:40]!r}, which was not asked for")
    unpacked = []
    while body:
        member = zlib.decompressobj(_GZIP_OR_ZLIB)
        unpacked.append(member.decompress(body) + member.flush())
        if not member.eof:
            raise ValueError("a packed answer that is cut")
        body = member.unused_data
    return b"".join(unpacked)


class Connections:
    """Connections to one origin: as many as exchanges under way, each kept for 30 seconds for the next one.

    An exchange is never repeated in here. To be used in one event loop.
    """

    def __init__(self, origin: httpx.URL, trusted: ssl.SSLContext | None) -> None:
        self._host = origin.raw_host.decode("ascii")
        self._port = origin.port or (443 if trusted else 80)
        self._trusted = trusted
        self._loop = asyncio.get_running_loop()
        self._kept: deque[_Connection] = deque()  # the one that was used last at the end
        self._busy: set[_Connection] = set()
        self._look: asyncio.TimerHandle | None = None
        self._closed = False
        self._addresses: Sequence[AddrInfoType] = ()
        self._looked_up = 0.0

    async def send(self, head: bytes, body: bytes, silence: float) -> Reply:
        """Exchange once, which is given up after so many seconds of `silence`.

        Raises NotConnected where nothing was sent, TimeoutError, another OSError or an error of httptools where
        something may have been.
        """
        connection = self._take() or await self._connect()
        if self._closed:
            connection.abort()
            raise NotConnected("the client is closed")
        self._busy.add(connection)
        if self._look is None:
            self._look_after(silence)
        try:
            reply = await connection.exchange(head, body, silence)
            if reply.status >= 400 and len(body) > _READ_BEFORE_REFUSAL:
                connection.usable = False  # a service may refuse what it has not read, and then never read it
            return reply
        finally:
            self._busy.discard(connection)
            if connection.usable:
                connection.kept_since = self._loop.time()
                self._kept.append(connection)
            else:
                connection.abort()

    def _take(self) -> _Connection | None:
        """Return the connection that was used last, if it can be used again."""
        while self._kept:
            connection = self._kept.pop()
            if connection.usable and self._loop.time() - connection.kept_since < _KEPT_SECONDS:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                addresses = await self._look_up()
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self._loop),
                    sock=await start_connection(addresses, happy_eyeballs_delay=_EYEBALLS_SECONDS),
                    ssl=self._trusted,
                    server_hostname=self._host if self._trusted else None,
                )
        except Exception as error:
            self._addresses = ()
            raise NotConnected(f"{type(error).__name__} {error}".strip()) from error
        return connection

    async def _look_up(self) -> Sequence[AddrInfoType]:
        """Return the host's addresses. Looked up anew now and then: a service moves, and a run may last for days."""
        now = self._loop.time()
        if not self._addresses or now - self._looked_up > _ADDRESS_SECONDS:
            self._looked_up = now
            self._addresses = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        return self._addresses

    def _look_after(self, silence: float) -> None:
        """Watch all connections with one timer: one for each exchange would cost more than all else in here."""
        self._look = self._loop.call_later(min(1.0, silence / _LOOKS), self._give_up_silent)

    def _give_up_silent(self) -> None:
        self._look = None
        now = self._loop.time()
        while self._kept and now - self._kept[0].kept_since >= _KEPT_SECONDS:
            self._kept.popleft().abort()
        for connection in [one for one in self._busy if now - one.heard > one.silence]:
            connection.fail(TimeoutError(f"silent for {connection.silence:g} s"))
        if self._busy or self._kept:
            self._look_after(min((connection.silence for connection in self._busy), default=_KEPT_SECONDS))

    async def aclose(self) -> None:
        self._closed = True
        if self._look is not None:
            self._look.cancel()
        for connection in self._busy:
            connection.fail(ConnectionAbortedError("the client was closed"))
        for connection in self._kept:
            connection.abort()
        self._kept.clear()
        await asyncio.sleep(0)  # each tells its end in the loop's next turn
