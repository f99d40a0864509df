"""A service on loopback that goes away for a while in the middle of a run, and what was paid twice for it."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from workload import TOPICS

__all__ = ["Kind", "Service", "serving"]

Kind = Literal["refused", "502"]

LATENCY = 0.02
ROW = re.compile(rb"message (\d+):")
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 12\r\n\r\n<h1>502</h1>"


def answer(row: int) -> bytes:
    text = json.dumps({"topic": TOPICS[row % 4], "score": row % 11})
    step = {"type": "model_output", "content": [{"type": "text", "text": text}]}
    usage = {"total_input_tokens": 120, "total_output_tokens": 12, "total_tokens": 132}
    body = {"id": "v1_x", "object": "interaction", "status": "completed", "model": "gemini-3.5-flash-lite"}
    content = json.dumps({**body, "steps": [step], "usage": usage}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content) + content


class Service:
    """Answers until `after` rows are answered, is down for `seconds`, and answers again.

    `paid` counts each request that it had received whole while it was up, by row; `in_flight` are those that were lost
    as it went down.
    """

    def __init__(self, kind: Kind, after: int, seconds: float) -> None:
        self.kind, self.after, self.seconds = kind, after, seconds
        self.paid: Counter[int] = Counter()
        self.pending: set[Connection] = set()
        self.connections: set[Connection] = set()
        self.down, self.answered, self.in_flight, self.asked_while_down = False, 0, 0, 0
        self.up_again = 0.0
        self.port = 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self.port, backlog=1_024)
        self.port = self.server.sockets[0].getsockname()[1]

    def note_answer(self) -> None:
        self.answered += 1
        if self.answered == self.after:
            self.down, self.in_flight = True, len(self.pending)
            self.coming_back = asyncio.get_running_loop().create_task(self.go_down())

    async def go_down(self) -> None:
        if self.kind == "refused":
            self.server.close()
            for connection in list(self.connections):
                connection.transport.abort()
        await asyncio.sleep(self.seconds)
        self.down, self.up_again = False, time.monotonic()
        if self.kind == "refused":
            await self.open()


class Connection(asyncio.Protocol):
    def __init__(self, service: Service) -> None:
        self.service, self.received = service, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.service.connections.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.service.connections.discard(self)
        self.service.pending.discard(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, gap, rest = self.received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0) if gap else 0
        if not gap or len(rest) < length:
            return
        self.received = b""
        row = ROW.search(rest)
        if self.service.down or row is None:
            self.service.asked_while_down += 1
            self.transport.write(BAD_GATEWAY)
            return
        number = int(row[1])
        self.service.paid[number] += 1
        self.service.pending.add(self)
        asyncio.get_running_loop().call_later(LATENCY, self.reply, number)

    def reply(self, row: int) -> None:
        self.service.pending.discard(self)
        if self.transport.is_closing():
            return
        self.transport.write(BAD_GATEWAY if self.service.down else answer(row))
        if not self.service.down:
            self.service.note_answer()


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """Run the service in a thread of its own; give its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(service.open(), loop).result()
        yield f"http://127.0.0.1:{service.port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
