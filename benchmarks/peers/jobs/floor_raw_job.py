"""The floor: sockets of asyncio that send bytes and take them, and nothing between them and the records."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator

from floor import HEADERS, PATH, body, read
from work import Message, Task, measure, write


class Connection(asyncio.Protocol):
    """One connection that sends the next request as soon as it has the answer to the last one."""

    def __init__(self, head: bytes, numbered: Iterator[tuple[int, str]], found: dict[int, Message]) -> None:
        self.head, self.numbered, self.found = head, numbered, found
        self.received = b""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        if (following := next(self.numbered, None)) is None:
            self.transport.close()
            return
        self.number, prompt = following
        data = body(prompt)
        self.transport.write(self.head % len(data) + data)

    def data_received(self, data: bytes) -> None:
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = int(self.received[:end].partition(b"content-length: ")[2].split(b"\r")[0])
        if len(self.received) >= end + 4 + length:
            self.found[self.number] = read(self.received[end + 4 :])
            self.received = b""
            self.send()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def ask_all(task: Task) -> list[Message]:
    port = int(task.url.rpartition(":")[2])
    lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    head = f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{lines}content-length: %d\r\n\r\n".encode()
    found: dict[int, Message] = {}
    numbered = enumerate(task.prompts)
    loop = asyncio.get_running_loop()
    # OpenSSL trusts what SSL_CERT_FILE names.
    tls = ssl.create_default_context() if task.url.startswith("https:") else None

    async def connection() -> None:
        made = loop.create_connection(lambda: Connection(head, numbered, found), "127.0.0.1", port, ssl=tls)
        _, protocol = await made
        await protocol.over

    await asyncio.gather(*(connection() for _ in range(task.concurrency)))
    return [found[number] for number in range(task.count)]


def job(task: Task) -> None:
    write(task, asyncio.run(ask_all(task)))


if __name__ == "__main__":
    measure(job)
