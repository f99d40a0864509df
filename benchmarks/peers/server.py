"""One server for all peers: it waits, looks up the answer to a record, and speaks the wire form that its path names.

    python benchmarks/peers/server.py LATENCY_MS [CERTIFICATE]

Over TLS where it is given a file with its certificate and the key. Prints its port and ends with its standard input.
`GET /count` tells how many records were asked for so far.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

TOPICS = ("billing", "bug", "praise", "other")
KINDS = 44  # answers repeat after so many records: four topics by eleven scores
HEAD = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
RECORD = re.compile(rb"message (\d+):")
# A tool's own name comes before its parameters or after them, and our schema has no property that is called "name".
TOOL = re.compile(rb'"name": ?"([^"]+)"')


def value(kind: int) -> dict[str, Any]:
    return {"topic": TOPICS[kind % 4], "score": kind % 11}


def extractions(kind: int) -> dict[str, Any]:
    """Return the answer in the envelope of langextract, whose attributes are texts."""
    found = value(kind)
    return {"extractions": [{"topic": found["topic"], "topic_attributes": {"score": str(found["score"])}}]}


def interaction(kind: int, _: str) -> dict[str, Any]:
    content = [{"type": "text", "text": json.dumps(value(kind))}]
    return {
        "id": f"v1_{kind:024}",
        "object": "interaction",
        "status": "completed",
        "model": "gemini-3.5-flash-lite",
        "service_tier": "standard",
        "created": "2026-11-22T10:00:00Z",
        "updated": "2026-11-22T10:00:02Z",
        "steps": [{"type": "model_output", "content": content}],
        "usage": {
            "total_input_tokens": 120,
            "total_output_tokens": 12,
            "total_thought_tokens": 0,
            "total_cached_tokens": 0,
            "total_tool_use_tokens": 0,
            "total_tokens": 132,
            "input_tokens_by_modality": [{"modality": "text", "tokens": 120}],
        },
    }


def generated(kind: int, part: dict[str, Any]) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"parts": [part], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 120,
            "candidatesTokenCount": 12,
            "totalTokenCount": 132,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 120}],
        },
        "modelVersion": "gemini-3.5-flash-lite",
        "responseId": f"r{kind:024}",
    }


def generated_text(kind: int, _: str) -> dict[str, Any]:
    return generated(kind, {"text": json.dumps(value(kind))})


def generated_extractions(kind: int, _: str) -> dict[str, Any]:
    return generated(kind, {"text": json.dumps(extractions(kind))})


def generated_call(kind: int, tool: str) -> dict[str, Any]:
    return generated(kind, {"functionCall": {"name": tool, "args": value(kind)}})


def completion(kind: int, message: dict[str, Any], reason: str) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "logprobs": None, "finish_reason": reason}
    return {
        "id": f"chatcmpl-{kind:024}",
        "object": "chat.completion",
        "created": 1_795_341_600,
        "model": "gpt-4o-mini",
        "choices": [choice],
        "usage": {"prompt_tokens": 120, "completion_tokens": 12, "total_tokens": 132},
    }


def completion_text(kind: int, _: str) -> dict[str, Any]:
    return completion(kind, {"content": json.dumps(value(kind)), "refusal": None}, "stop")


def completion_call(kind: int, tool: str) -> dict[str, Any]:
    function = {"name": tool, "arguments": json.dumps(value(kind))}
    call = {"id": f"call_{kind:024}", "type": "function", "function": function}
    return completion(kind, {"content": None, "tool_calls": [call]}, "tool_calls")


Form = Callable[[int, str], dict[str, Any]]


def reply(body: bytes, status: bytes = b"200 OK") -> bytes:
    return HEAD % (status, len(body)) + body


@cache
def replies(form: Form, tool: str) -> list[bytes]:
    return [reply(json.dumps(form(kind, tool), separators=(",", ":")).encode()) for kind in range(KINDS)]


NOT_FOUND = reply(b'{"error":{"code":"not_found","message":"No such path."}}', b"404 Not Found")


def form_of(path: bytes, body: bytes) -> tuple[Form, str] | None:
    """Return how to answer, and the name of the tool to call where the request brings one."""
    if path.endswith(b"/interactions"):
        return interaction, ""
    if path.endswith(b":generateContent"):
        if (tools := body.find(b'"functionDeclarations"')) >= 0:
            return generated_call, tool_name(body, tools)
        return (generated_extractions if b'"extractions"' in body else generated_text), ""
    if path.endswith(b"/chat/completions"):
        tools = body.find(b'"tools"')
        return (completion_call, tool_name(body, tools)) if tools >= 0 else (completion_text, "")
    return None


def tool_name(body: bytes, start: int) -> str:
    found = TOOL.search(body, start)
    return found[1].decode() if found else ""


class Connection(asyncio.Protocol):
    asked = 0  # of all connections

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            head = self.received[:end]
            length = int(head.lower().partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0] or 0)
            if len(self.received) < end + 4 + length:
                return
            body = self.received[end + 4 : end + 4 + length]
            self.received = self.received[end + 4 + length :]
            self.take(head.split(b" ", 2)[1].partition(b"?")[0], body)

    def take(self, path: bytes, body: bytes) -> None:
        if path == b"/count":
            self.answer(reply(str(Connection.asked).encode()))
            return
        Connection.asked += 1
        if (form := form_of(path, body)) is None:
            self.answer(NOT_FOUND)
            return
        # The last one: the examples of a few-shot prompt have numbers too, and come before the record.
        numbers = RECORD.findall(body)
        answer = replies(*form)[int(numbers[-1]) % KINDS if numbers else 0]
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self.answer, answer)
        else:
            self.answer(answer)

    def answer(self, reply: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(reply)


def identity(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


async def main(latency: float, tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(latency), "127.0.0.1", 0, backlog=1_024, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Whoever started it holds the other end: the server does not outlive it.
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) / 1000, identity(sys.argv[2]) if sys.argv[2:] else None))
