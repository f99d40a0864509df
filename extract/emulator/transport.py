"""The emulator as an httpx transport, sync and async, in the process of its client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager

import httpx

from extract.emulator.in_thread import entered_in_thread
from extract.emulator.messages import WireRequest, WireResponse

__all__ = ["EmulatorTransport"]


class EmulatorTransport(httpx.AsyncBaseTransport, httpx.BaseTransport):
    """Answers httpx requests from `exchange`, whose context lasts as long as the delivery.

    A reset is raised as `httpx.ReadError`, a cut body as `httpx.RemoteProtocolError` while the body is read. Delays
    are slept with `sleep` for async clients, with `wait` for sync ones. What `takes_long` to answer is answered in a
    thread for async clients, so that their loop goes on.
    """

    def __init__(
        self,
        exchange: Callable[[WireRequest], AbstractContextManager[WireResponse]],
        *,
        takes_long: Callable[[WireRequest], bool] = lambda _: False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._exchange = exchange
        self.takes_long = takes_long
        self._sleep = sleep
        self._wait = wait

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        received = wire_request(request)
        if self.takes_long(received):
            async with entered_in_thread(self._exchange(received)) as response:
                return await self._delivered(response, request)
        with self._exchange(received) as response:
            return await self._delivered(response, request)

    async def _delivered(self, response: WireResponse, request: httpx.Request) -> httpx.Response:
        if delay := response.latency + response.stall:
            await self._sleep(delay)
        return http_response(response, request)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        with self._exchange(wire_request(request)) as response:
            if delay := response.latency + response.stall:
                self._wait(delay)
            return http_response(response, request)


class PiecewiseBody(httpx.AsyncByteStream, httpx.SyncByteStream):
    """A body that comes in pieces and may break off."""

    def __init__(self, response: WireResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.pieces()
        if not self._response.whole:
            whole, sent = len(self._response.body), self._response.cut_after
            raise httpx.RemoteProtocolError(f"connection closed after {sent} of {whole} bytes", request=self._request)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def wire_request(request: httpx.Request) -> WireRequest:
    """Return an httpx request whose body has been read as a WireRequest."""
    url = request.url
    query = dict(url.params) if url.query else {}
    origin = f"{url.scheme}://{url.netloc.decode('ascii')}"
    return WireRequest(request.method, url.path, query, request.headers, request.content, origin)


def http_response(response: WireResponse, request: httpx.Request) -> httpx.Response:
    """Return the response that httpx gives its client, or raise the error that it raises."""
    if response.reset:
        raise httpx.ReadError("connection reset by peer", request=request)
    headers = list(response.headers)
    if response.frames or not response.whole:
        if not response.frames:
            headers.append(("content-length", str(len(response.body))))
        body = PiecewiseBody(response, request)
        return httpx.Response(response.status, headers=headers, stream=body, request=request)
    return httpx.Response(response.status, headers=headers, content=response.body, request=request)
