"""What the floors share: a request put together from bytes, an answer read with pydantic, workers and no retries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pydantic_core
from work import GEMINI, KEY, Message, Task

HEADERS = {"x-goog-api-key": KEY, "content-type": "application/json"}
PATH = "/v1/interactions"
FORM = {"type": "text", "mime_type": "application/json", "schema": Message.model_json_schema()}
BODY = json.dumps({"model": GEMINI, "store": False, "response_format": FORM})[:-1].encode() + b', "input": %s}'


def body(prompt: str) -> bytes:
    return BODY % json.dumps(prompt).encode()


def read(answer: bytes) -> Message:
    """Take the text out of the envelope and validate it."""
    return Message.model_validate_json(pydantic_core.from_json(answer)["steps"][-1]["content"][0]["text"])


async def share_out(task: Task, post: Callable[[bytes], Awaitable[bytes]]) -> list[Message]:
    """Let a fixed number of workers take the records one after the other."""
    found: dict[int, Message] = {}
    numbered = enumerate(task.prompts)

    async def worker() -> None:
        for number, prompt in numbered:
            found[number] = read(await post(body(prompt)))

    await asyncio.gather(*(worker() for _ in range(task.concurrency)))
    return [found[number] for number in range(task.count)]
