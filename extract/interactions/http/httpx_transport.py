"""Calls through httpx: the synchronous client's transport, and the asynchronous one's where the user brings httpx."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import httpx

from extract.interactions.http.bodies import Allowance, in_time, ran_out, read, read_async, unpacked, unpacked_async
from extract.interactions.http.calls import Bounds, Call, Reply
from extract.interactions.http.transport import Incoming

__all__ = ["AsyncHttpxTransport", "HttpxTransport", "SyncIncoming"]


class Wire(Protocol):
    """Puts a call in httpx's words, and says what its answer may take."""

    def httpx_call(self, call: Call) -> dict[str, Any]: ...
    def bounds(self, call: Call) -> Bounds: ...


@dataclass(frozen=True, slots=True)
class SyncIncoming:
    """`Incoming` for threads."""

    status: int
    headers: httpx.Headers
    chunks: Iterator[bytes]
    read: Callable[[], Reply]
    close: Callable[[], None]


class HttpxTransport:
    """Calls over an httpx client. `make` opens it at the first call: it reads all certificates, which takes a moment.

    Raises what httpx and the user's own transport raise.
    """

    def __init__(
        self, make: Callable[[], httpx.Client], wire: Wire, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make, self._wire, self._clock = make, wire, clock
        self._client: httpx.Client | None = None
        self._opening = threading.Lock()  # threads may share a client

    @property
    def _http(self) -> httpx.Client:
        with self._opening:
            if self._client is None:
                self._client = self._make()
            return self._client

    def send(self, call: Call) -> Reply:
        """Send a call once."""
        bounds, sent = self._wire.bounds(call), self._clock()

        def check_time() -> None:
            if self._clock() - sent > bounds.seconds:
                raise ran_out(bounds.seconds)

        response = self._open(call)
        try:
            return read(response.status_code, _headers(response), _wire_bytes(response), bounds.size, check_time)
        finally:
            response.close()

    def stream(self, call: Call) -> SyncIncoming:
        """Send a call once and return as soon as its reply begins."""
        response = self._open(call)
        status, headers, chunks = response.status_code, _headers(response), _wire_bytes(response)
        size = self._wire.bounds(call).size
        return SyncIncoming(
            status,
            headers,
            unpacked(chunks, headers),
            lambda: read(status, headers, chunks, size),
            response.close,
        )

    def _open(self, call: Call) -> httpx.Response:
        request = self._http.build_request(**self._wire.httpx_call(call))
        return self._http.send(request, stream=True, follow_redirects=False)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


class AsyncHttpxTransport:
    """`HttpxTransport` for an event loop."""

    def __init__(self, client: httpx.AsyncClient, wire: Wire, allowance: Allowance | None = None) -> None:
        self._client, self._wire, self._allowance = client, wire, allowance or Allowance()

    async def send(self, call: Call) -> Reply:
        """Send a call once."""
        return await in_time(self._wire.bounds(call).seconds, partial(self._exchange, call))

    async def _exchange(self, call: Call, timer: asyncio.Timeout) -> Reply:
        response = await self._open(call)
        try:
            return await self._read(response, call, timer)
        finally:
            await response.aclose()

    async def stream(self, call: Call) -> Incoming:
        """Send a call once and return as soon as its reply begins."""
        response = await self._open(call)
        chunks = unpacked_async(_wire_bytes_async(response), _headers(response))
        return Incoming(
            response.status_code, response.headers, chunks, lambda: self._read(response, call), response.aclose
        )

    async def _open(self, call: Call) -> httpx.Response:
        request = self._client.build_request(**self._wire.httpx_call(call))
        return await self._client.send(request, stream=True, follow_redirects=False)

    async def _read(self, response: httpx.Response, call: Call, timer: asyncio.Timeout | None = None) -> Reply:
        chunks, size = _wire_bytes_async(response), self._wire.bounds(call).size
        return await read_async(response.status_code, _headers(response), chunks, size, self._allowance, timer)

    async def aclose(self) -> None:
        await self._client.aclose()


def _headers(response: httpx.Response) -> httpx.Headers:
    """Return the headers that are true of `_wire_bytes`: a transport in memory hands out a body unpacked already."""
    if not response.is_stream_consumed or "content-encoding" not in response.headers:
        return response.headers
    return httpx.Headers([one for one in response.headers.multi_items() if one[0] not in _ABOUT_THE_WIRE])


_ABOUT_THE_WIRE = ("content-encoding", "content-length")


def _wire_bytes(response: httpx.Response) -> Iterator[bytes]:
    return iter((response.content,)) if response.is_stream_consumed else response.iter_raw()


async def _wire_bytes_async(response: httpx.Response) -> AsyncIterator[bytes]:
    if response.is_stream_consumed:
        yield response.content
        return
    async for chunk in response.aiter_raw():
        yield chunk
