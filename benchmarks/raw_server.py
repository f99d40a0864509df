"""A server that does nothing but wait and answer, so that a benchmark of the client measures the client."""

from __future__ import annotations

import asyncio
import ssl
import sys

ANSWER = (
    b'{"id":"v1_x","object":"interaction","status":"completed","model":"gemini-3.5-flash-lite","steps":[{"type":'
    b'"model_output","content":[{"type":"text","text":"{\\"topic\\": \\"billing\\", \\"score\\": 4}"}]}],"usage":'
    b'{"total_input_tokens":120,"total_output_tokens":12,"total_thought_tokens":0,"total_tokens":132}}'
)
RESPONSE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " + str(len(ANSWER)).encode() + b"\r\n\r\n"
) + ANSWER


class Connection(asyncio.Protocol):
    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end].lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if len(self.received) < end + 4 + length:
                return
            self.received = self.received[end + 4 + length :]
            if self.latency:
                asyncio.get_running_loop().call_later(self.latency, self.answer)
            else:
                self.answer()

    def answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(RESPONSE)


async def main(latency: float, certificate: str | None = None) -> None:
    shown = None
    if certificate:
        shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(latency), "127.0.0.1", 0, ssl=shown, backlog=1_024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), *sys.argv[2:]))
