"""Two floors: the job on httpx and on its successor httpx2, each with the connection pool it has by default."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

from floor import HEADERS, PATH, share_out
from work import Message, Task, measure, write


async def ask_all(task: Task) -> list[Message]:
    # The package is named by the task, so that the memory is that of one of the two.
    httpx: Any = import_module(task.variant)
    # A request that waits for the pool is not a failed one: there are fewer connections than workers.
    async with httpx.AsyncClient(base_url=task.url, headers=HEADERS, timeout=60) as client:

        async def post(data: bytes) -> bytes:
            answer: bytes = (await client.post(PATH, content=data)).content
            return answer

        return await share_out(task, post)


def job(task: Task) -> None:
    write(task, asyncio.run(ask_all(task)))


if __name__ == "__main__":
    measure(job)
