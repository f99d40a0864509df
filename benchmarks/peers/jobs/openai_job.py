"""The openai SDK: `parse` with a pydantic model, over aiohttp, which its documentation names for many calls at once."""

from __future__ import annotations

import asyncio

from openai import AsyncOpenAI, DefaultAioHttpClient
from work import KEY, OPENAI, Message, Task, bounded, measure, write


async def ask_all(task: Task) -> list[Message]:
    async with AsyncOpenAI(api_key=KEY, base_url=f"{task.url}/v1", http_client=DefaultAioHttpClient()) as client:

        async def ask(prompt: str) -> Message:
            messages = [{"role": "user", "content": prompt}]
            answer = await client.chat.completions.parse(model=OPENAI, messages=messages, response_format=Message)
            found = answer.choices[0].message.parsed
            assert found is not None
            return found

        return await bounded(ask, task.prompts, task.concurrency)


def job(task: Task) -> None:
    write(task, asyncio.run(ask_all(task)))


if __name__ == "__main__":
    measure(job)
