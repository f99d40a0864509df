"""instructor: its asynchronous client, for OpenAI in two modes and for Gemini in the default one.

Each SDK inside talks over aiohttp, which both name for many calls at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import instructor
from google import genai
from openai import AsyncOpenAI, DefaultAioHttpClient
from work import GEMINI, KEY, OPENAI, Message, Task, bounded, measure, write

MODES = {
    "openai json_schema": instructor.Mode.JSON_SCHEMA,
    "openai tools": instructor.Mode.TOOLS,
    "genai": instructor.Mode.TOOLS,
}


@asynccontextmanager
async def client_of(task: Task) -> AsyncIterator[instructor.AsyncInstructor]:
    mode = MODES[task.variant]
    if task.variant == "genai":
        sdk = genai.Client(api_key=KEY, http_options={"base_url": task.url})
        async with sdk.aio:
            yield instructor.from_genai(sdk, use_async=True, mode=mode, model=GEMINI)
    else:
        http = DefaultAioHttpClient()
        async with AsyncOpenAI(api_key=KEY, base_url=f"{task.url}/v1", http_client=http) as sdk:
            yield instructor.from_openai(sdk, mode=mode, model=OPENAI)


async def ask_all(task: Task) -> list[Message]:
    async with client_of(task) as client:

        async def ask(prompt: str) -> Message:
            return await client.create(response_model=Message, messages=[{"role": "user", "content": prompt}])

        return await bounded(ask, task.prompts, task.concurrency)


def job(task: Task) -> None:
    write(task, asyncio.run(ask_all(task)))


if __name__ == "__main__":
    measure(job)
