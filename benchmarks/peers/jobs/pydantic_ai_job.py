"""pydantic-ai: one agent with a typed output and its own limit of concurrent runs, for OpenAI and for Gemini.

Each SDK inside talks over aiohttp, which both name for many calls at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from google import genai
from openai import AsyncOpenAI, DefaultAioHttpClient
from pydantic_ai import Agent
from pydantic_ai.models import Model
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider
from work import GEMINI, KEY, OPENAI, Message, Task, measure, write


@asynccontextmanager
async def model_of(task: Task) -> AsyncIterator[Model]:
    if task.variant == "google":
        sdk = genai.Client(api_key=KEY, http_options={"base_url": task.url})
        async with sdk.aio:
            yield GoogleModel(GEMINI, provider=GoogleProvider(client=sdk))
    else:
        http = DefaultAioHttpClient()
        async with AsyncOpenAI(api_key=KEY, base_url=f"{task.url}/v1", http_client=http) as sdk:
            yield OpenAIChatModel(OPENAI, provider=OpenAIProvider(openai_client=sdk))


async def ask_all(task: Task) -> list[Message]:
    async with model_of(task) as model:
        agent = Agent(model, output_type=Message, max_concurrency=task.concurrency)
        answers = await asyncio.gather(*map(agent.run, task.prompts))
    return [answer.output for answer in answers]


def job(task: Task) -> None:
    write(task, asyncio.run(ask_all(task)))


if __name__ == "__main__":
    measure(job)
