"""A server on loopback that behaves as badly as a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from ssl import SSLContext
from typing import cast

__all__ = ["ANSWER", "Behaviour", "Server", "chunks", "listening", "reply", "reset", "serving", "silence"]

ANSWER = b'{"status":"completed","steps":[{"type":"model_output","content":[{"type":"text","text":"x"}]}]}'

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]
Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """What a scripted server has seen: one entry of `received` for every request read whole."""

    url: str = ""
    received: list[bytes] = field(default_factory=list)
    opened: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)


def reply(
    body: bytes = ANSWER, status: str = "200 OK", *headers: str, length: int | None = None, close: bool = False
) -> Behaviour:
    """Answer with this; `close` ends the connection without having said that it would."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"content-length: {len(body) if length is None else length}", *headers]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        if close:
            writer.close()

    return behave


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter) -> None:
    """Keep the connection and say nothing."""


async def chunks(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for piece in (ANSWER[:10], ANSWER[10:]):
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    writer.write(b"0\r\n\r\n")


@asynccontextmanager
async def listening(converse: Converse, certificate: SSLContext | None = None) -> AsyncIterator[int]:
    """Hold conversations on loopback, and give the port. All connections are closed at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        tasks.add(task)
        try:
            await converse(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the other side has had enough, or the test has
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=certificate)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks.copy():
            task.cancel()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(
    behaviour: Callable[[int], Behaviour], certificate: SSLContext | None = None
) -> AsyncIterator[Server]:
    """Serve on loopback; `behaviour` is asked with the number of the request on its connection, from 1."""
    server = Server()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.opened += 1
        try:
            for number in count(1):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                server.received.append(head + await reader.readexactly(length))
                await behaviour(number)(writer)
        finally:
            server.closed.set()

    async with listening(converse, certificate) as port:
        server.url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        yield server
