"""litellm: `acompletion` with a pydantic model as the response format, for OpenAI and for Gemini."""

from __future__ import annotations

import asyncio

import litellm
from work import GEMINI, KEY, OPENAI, Message, Task, bounded, measure, write


async def ask_all(task: Task) -> list[Message]:
    if task.variant == "openai":
        model, base = f"openai/{OPENAI}", f"{task.url}/v1"
    else:
        model, base = f"gemini/{GEMINI}", f"{task.url}/v1beta"

    async def ask(prompt: str) -> Message:
        messages = [{"role": "user", "content": prompt}]
        answer = await litellm.acompletion(
            model=model, messages=messages, response_format=Message, api_base=base, api_key=KEY
        )
        return Message.model_validate_json(answer.choices[0].message.content)

    return await bounded(ask, task.prompts, task.concurrency)


def job(task: Task) -> None:
    write(task, asyncio.run(ask_all(task)))


if __name__ == "__main__":
    measure(job)
