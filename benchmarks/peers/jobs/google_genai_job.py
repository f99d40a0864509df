"""Google's own SDK: the Interactions API, and `generate_content` with a schema."""

from __future__ import annotations

import asyncio

from google import genai
from work import GEMINI, KEY, Message, Task, bounded, measure, write

FORM = {"type": "text", "mime_type": "application/json", "schema": Message.model_json_schema()}


async def interactions(task: Task) -> list[Message]:
    async with genai.Client(api_key=KEY, http_options={"base_url": task.url}).aio as client:

        async def ask(prompt: str) -> Message:
            answer = await client.interactions.create(model=GEMINI, input=prompt, response_format=FORM, store=False)
            return Message.model_validate_json(answer.output_text)

        return await bounded(ask, task.prompts, task.concurrency)


async def generate_content(task: Task) -> list[Message]:
    config = genai.types.GenerateContentConfig(response_mime_type="application/json", response_schema=Message)
    async with genai.Client(api_key=KEY, http_options={"base_url": task.url}).aio as client:

        async def ask(prompt: str) -> Message:
            answer = await client.models.generate_content(model=GEMINI, contents=prompt, config=config)
            return Message.model_validate(answer.parsed)

        return await bounded(ask, task.prompts, task.concurrency)


WAYS = {"interactions": interactions, "generate_content": generate_content}


def job(task: Task) -> None:
    write(task, asyncio.run(WAYS[task.variant](task)))


if __name__ == "__main__":
    measure(job)
