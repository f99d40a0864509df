"""A floor: the job on aiohttp, with as many connections as requests at once."""

from __future__ import annotations

import asyncio

import aiohttp
from floor import HEADERS, PATH, share_out
from work import Message, Task, measure, write


async def ask_all(task: Task) -> list[Message]:
    connector = aiohttp.TCPConnector(limit=task.concurrency)
    async with aiohttp.ClientSession(task.url, connector=connector, headers=HEADERS) as session:

        async def post(data: bytes) -> bytes:
            async with session.post(PATH, data=data) as response:
                return await response.read()

        return await share_out(task, post)


def job(task: Task) -> None:
    write(task, asyncio.run(ask_all(task)))


if __name__ == "__main__":
    measure(job)
