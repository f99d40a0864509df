"""HTTP/1.1 exchanges over kept-alive connections: asyncio writes, llhttp (httptools) reads, nothing in between.

A general client spends several times as much on one exchange as the socket does (benchmarks/README.md has figures), and
at hundreds of requests in flight that is what a run waits for. Only a run's own requests come this way: proxies,
streams and redirects are left to a general client. HTTP/2 costs more here than it saves.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import ParamSpec, cast

import httpx
from aiohappyeyeballs import start_connection
from aiohappyeyeballs.types import AddrInfoType
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from extract.errors import AnswerError
from extract.interactions.http.bodies import Allowance, Body, ran_out, too_large
from extract.interactions.http.calls import Bounds, Reply

__all__ = ["Connections", "NotConnected"]

_CONNECT_SECONDS = 15.0
_IDLE_SECONDS = 30.0  # shorter than services keep them: else a close may cross a request
_ADDRESS_SECONDS = 30.0
_EYEBALLS_SECONDS = 0.25  # until the next address of a host is tried beside the first (RFC 8305)
_WRITE_BYTES = 256 * 1024
_READ_BEFORE_REFUSAL = 64 * 1024  # of a body: more may still be unread when it is refused
_CHECKS_PER_SILENCE = 8
_MAX_HEAD = 256 * 1024  # bytes of an answer that are not its body
_NO_BOUNDS = Bounds(silence=0.0)  # before the first exchange


P = ParamSpec("P")


class NotConnected(OSError):
    """No connection was made, so nothing was sent."""


class _Connection(asyncio.Protocol):
    """One connection, with at most one exchange at a time. The methods named `on_...` are llhttp's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, allowance: Allowance) -> None:
        self.usable = True
        self.last_moved = loop.time()  # when a byte last came or went
        self.sent = 0.0  # when the exchange began
        self.idle_since = 0.0
        self.bounds = _NO_BOUNDS
        self._loop = loop
        self._transport: asyncio.Transport
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[Reply] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._headers: dict[str, str] = {}
        self._body = Body(allowance, self._pause, self._resume_reading)
        self._received = 0  # bytes from the wire in this exchange
        self._paused_at = 0.0
        self._in_head = False
        self._is_whole = False
        self._ends_with_connection = False

    async def exchange(self, head: bytes, body: bytes, bounds: Bounds) -> Reply:
        """Send a request and return its reply.

        Raises OSError, or an error of httptools where no whole reply came, AnswerError where it passed its bounds.
        """
        self.sent = self.last_moved = self._loop.time()
        self.bounds, self._received, self._is_whole = bounds, 0, False
        waiter: asyncio.Future[Reply] = self._loop.create_future()
        self._waiter = waiter
        try:
            if len(body) <= _WRITE_BYTES:
                self._transport.write(head + body)
            else:
                await self._write_in_pieces(head, body)
            return await waiter
        except BaseException:  # a late answer must not be read as that of the next request
            self.abort()
            raise
        finally:
            self._waiter = None
            if self._body.paused and not self._transport.is_closing():  # the answer ended in the bytes that came last
                self._transport.resume_reading()
            self._body.end()  # an idle connection holds no answer

    async def _write_in_pieces(self, head: bytes, body: bytes) -> None:
        """Write only as fast as the socket takes it: asyncio copies all that waits in its buffer with every send."""
        assert self._waiter is not None, "called in an exchange"
        self._transport.write(head)
        view = memoryview(body)
        for start in range(0, len(view), _WRITE_BYTES):
            if self._writable is not None:
                await self._writable
            if self._waiter.done():  # the service refused it before it had read it
                self.usable = False
                return
            self.last_moved = self._loop.time()
            self._transport.write(view[start : start + _WRITE_BYTES])

    def fail(self, error: Exception) -> None:
        """End the exchange, if there is one, and the connection."""
        self.usable = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self._resume()
        self._transport.abort()

    def abort(self) -> None:
        self.usable = False
        self._ends_with_connection = False  # this end does not complete an answer
        self._transport.abort()

    def eof_received(self) -> None:
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it

    def data_received(self, data: bytes) -> None:
        self.last_moved = self._loop.time()
        self._received += len(data)
        waiter = self._waiter
        if waiter is None or waiter.done():  # nobody asked for this: it could go on for ever
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.fail(error)
        if self._received > _MAX_HEAD and (self._in_head or self._received > self.bounds.size + _MAX_HEAD):
            self._refuse()

    def _is_over(self) -> bool:
        return self._waiter is None or self._waiter.done()

    def overdue(self, now: float) -> Exception | None:
        """Return the error to end the exchange with where it has taken too long; its pauses are ours."""
        if self._body.paused:
            return None
        if now - self.last_moved > self.bounds.silence:
            return TimeoutError(f"silent for {self.bounds.silence:g} s")
        return ran_out(self.bounds.seconds) if now - self.sent > self.bounds.seconds else None

    def _refuse(self) -> None:
        """End an exchange whose answer is too large. Of a refusal the status is enough, however long its body."""
        if self._is_over():
            return
        if self._in_head or self._parser.get_status_code() <= 200:
            self.fail(too_large(self.bounds.size))
        else:
            self._answer(b"")
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if error is None and self._ends_with_connection:
            self._finish()
        if self._is_whole:  # and perhaps still to be unpacked
            self.usable = False
            self._resume()
            return
        self.fail(error or ConnectionResetError("the connection was closed before the answer was whole"))

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        self._resume()

    def _resume(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def on_message_begin(self) -> None:
        self._headers = {}
        self._in_head, self._ends_with_connection = True, False
        if self._is_over():
            self.usable = False  # an answer without a request

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers come after the last chunk, and may contradict the head
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._in_head = False
        has_end = self._headers.keys() & {"content-length", "transfer-encoding"}
        self._ends_with_connection = not has_end
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if "content-encoding" in self._headers:
            self._attempt(self._body.begin, self._headers, self.bounds.size)
        else:
            self._body.begin(self._headers, self.bounds.size)
            if self._body.too_large:
                self._refuse()

    def on_body(self, body: bytes) -> None:
        waiter, reading = self._waiter, self._body
        if waiter is None or waiter.done():
            return
        if reading.is_plain:  # nothing that could be damaged
            reading.feed(body)
            if reading.too_large:
                self._refuse()
        else:
            self._attempt(self._body.feed, body)

    def _attempt(self, step: Callable[P, None], *args: P.args, **keywords: P.kwargs) -> None:
        """Take one step in reading a body; what is damaged or too large ends the exchange."""
        try:
            step(*args, **keywords)
        except (AnswerError, ValueError, zlib.error) as error:
            self.fail(error)
        if self._body.too_large:
            self._refuse()

    def _pause(self) -> None:
        self._paused_at = self._loop.time()
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        paused = self._loop.time() - self._paused_at
        self.sent, self.last_moved = self.sent + paused, self.last_moved + paused
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self._attempt(self._body.unpack)
        if self._is_whole:
            self._finish()

    def on_message_complete(self) -> None:
        self._ends_with_connection = False
        if self._parser.get_status_code() < 200:
            return  # "100 Continue" or "103 Early Hints": the answer is still to come
        if not self._parser.should_keep_alive():
            self.usable = False
        self._finish()

    def _finish(self) -> None:
        self._is_whole = True
        waiter, reading = self._waiter, self._body
        if waiter is None or waiter.done() or reading.pending:
            return
        if reading.is_plain and not reading.too_large:
            self._answer(reading.whole())
        else:
            self._attempt(self._hand_over)

    def _hand_over(self) -> None:
        self._answer(self._body.whole())

    def _answer(self, body: bytes) -> None:
        assert self._waiter is not None, "called in an exchange"
        self._waiter.set_result(Reply(self._parser.get_status_code(), self._headers, body))
        if self._writable is not None:
            self._resume()  # the answer came early: nothing more is to be written


class Connections:
    """Connections to one origin: one for each exchange under way, each kept idle for 30 seconds for the next one.

    An exchange is never repeated in here. To be used in one event loop.
    """

    def __init__(self, origin: httpx.URL, tls: ssl.SSLContext | None, allowance: Allowance | None = None) -> None:
        self._host = origin.raw_host.decode("ascii")
        self._port = origin.port or (443 if tls else 80)
        self._tls = tls
        self._allowance = allowance or Allowance()
        self._loop = asyncio.get_running_loop()
        self._idle: deque[_Connection] = deque()  # most recently used last
        self._busy: set[_Connection] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False
        self._addresses: Sequence[AddrInfoType] = ()
        self._looked_up = 0.0

    async def send(self, head: bytes, body: bytes, bounds: Bounds) -> Reply:
        """Exchange once within `bounds`.

        Raises NotConnected where nothing was sent, TimeoutError, another OSError or an error of httptools where
        something may have been; AnswerError for an answer that is too large, AnswerTimeout for one that takes too long.
        """
        connection = self._take() or await self._connect()
        if self._closed:
            connection.abort()
            raise NotConnected("the client is closed")
        self._busy.add(connection)
        if self._watch is None:
            self._start_watch(min(bounds.silence, bounds.seconds))
        try:
            reply = await connection.exchange(head, body, bounds)
            if reply.status >= 400 and len(body) > _READ_BEFORE_REFUSAL:
                connection.usable = False  # it may never read the rest, which the next request would stand behind
            return reply
        finally:
            self._busy.discard(connection)
            if connection.usable:
                connection.idle_since = self._loop.time()
                self._idle.append(connection)
            else:
                connection.abort()

    def _take(self) -> _Connection | None:
        """Return the most recently used idle connection that can be used again."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and self._loop.time() - connection.idle_since < _IDLE_SECONDS:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                addresses = await self._look_up()
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self._loop, self._allowance),
                    sock=await start_connection(addresses, happy_eyeballs_delay=_EYEBALLS_SECONDS),
                    ssl=self._tls,
                    server_hostname=self._host if self._tls else None,
                )
        except Exception as error:
            self._addresses = ()
            raise NotConnected(f"{type(error).__name__} {error}".strip()) from error
        return connection

    async def _look_up(self) -> Sequence[AddrInfoType]:
        """Return the host's addresses, looked up every half minute: a service moves, and a run may last for days."""
        now = self._loop.time()
        if not self._addresses or now - self._looked_up > _ADDRESS_SECONDS:
            self._looked_up = now
            self._addresses = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        return self._addresses

    def _start_watch(self, shortest: float) -> None:
        """Watch all connections with one timer: one per exchange would cost more than everything else in here."""
        self._watch = self._loop.call_later(min(1.0, shortest / _CHECKS_PER_SILENCE), self._check_all)

    def _check_all(self) -> None:
        self._watch = None
        now = self._loop.time()
        while self._idle and now - self._idle[0].idle_since >= _IDLE_SECONDS:
            self._idle.popleft().abort()
        for connection in self._busy:
            if (error := connection.overdue(now)) is not None:
                connection.fail(error)
        if self._busy or self._idle:
            self._start_watch(min((min(one.bounds[:2]) for one in self._busy), default=_IDLE_SECONDS))

    async def aclose(self) -> None:
        self._closed = True
        if self._watch is not None:
            self._watch.cancel()
        for connection in self._busy:
            connection.fail(ConnectionAbortedError("the client was closed"))
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # connection_lost is called in the loop's next iteration
