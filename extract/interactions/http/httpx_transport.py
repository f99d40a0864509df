"""Calls through httpx: the synchronous client's transport, and the asynchronous one's where the user brings httpx."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from extract.interactions.http.calls import Call, Reply
from extract.interactions.http.transport import Incoming

__all__ = ["AsyncHttpxTransport", "HttpxTransport", "SyncIncoming"]


@dataclass(frozen=True, slots=True)
class SyncIncoming:
    """`Incoming` for threads."""

    status: int
    headers: httpx.Headers
    chunks: Iterator[bytes]
    read: Callable[[], bytes]
    close: Callable[[], None]


class HttpxTransport:
    """Calls over an httpx client. `make` opens it at the first call: it reads all certificates, which takes a moment.

    `arguments` puts a call in httpx's words. Raises what httpx and the user's own transport raise.
    """

    def __init__(self, make: Callable[[], httpx.Client], arguments: Callable[[Call], dict[str, Any]]) -> None:
        self._make, self._arguments = make, arguments
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
        response = self._http.request(**self._arguments(call), follow_redirects=False)
        return Reply(response.status_code, response.headers, response.content)

    def stream(self, call: Call) -> SyncIncoming:
        """Send a call once and return as soon as its reply begins."""
        request = self._http.build_request(**self._arguments(call))
        response = self._http.send(request, stream=True, follow_redirects=False)
        return SyncIncoming(
            response.status_code, response.headers, response.iter_bytes(), response.read, response.close
        )

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


class AsyncHttpxTransport:
    """`HttpxTransport` for an event loop."""

    def __init__(self, client: httpx.AsyncClient, arguments: Callable[[Call], dict[str, Any]]) -> None:
        self._client, self._arguments = client, arguments

    async def send(self, call: Call) -> Reply:
        """Send a call once."""
        response = await self._client.request(**self._arguments(call), follow_redirects=False)
        return Reply(response.status_code, response.headers, response.content)

    async def stream(self, call: Call) -> Incoming:
        """Send a call once and return as soon as its reply begins."""
        request = self._client.build_request(**self._arguments(call))
        response = await self._client.send(request, stream=True, follow_redirects=False)
        return Incoming(response.status_code, response.headers, response.aiter_bytes(), response.aread, response.aclose)

    async def aclose(self) -> None:
        await self._client.aclose()
