"""Daft: the `prompt` expression with a pydantic model as its return format, for OpenAI and for Gemini."""

from __future__ import annotations

from enum import StrEnum

import daft
from daft.ai.google.provider import GoogleProvider
from daft.ai.openai.provider import OpenAIProvider
from daft.functions import format, prompt, unnest  # noqa: A004
from pydantic import BaseModel, Field
from work import GEMINI, KEY, OPENAI, TOPICS, Task, measure

Topic = StrEnum("Topic", {topic: topic for topic in TOPICS})


class Message(BaseModel):
    """One message, sorted: the schema of the others, but Daft makes no column of a Literal."""

    topic: Topic
    score: int = Field(ge=0, le=10)


def job(task: Task) -> None:
    if task.variant == "openai":
        provider = OpenAIProvider(api_key=KEY, base_url=f"{task.url}/v1")
        model, options = OPENAI, {"use_chat_completions": True}
    else:
        provider = GoogleProvider(api_key=KEY, http_options={"base_url": task.url})
        model, options = GEMINI, {}
    asked = prompt(
        format("Sort this message: {}", daft.col("text")),
        return_format=Message,
        provider=provider,
        model=model,
        concurrency=task.concurrency,
        **options,
    )
    frame = daft.from_pydict({"text": task.texts}).with_column("answer", asked)
    frame.select("text", unnest(daft.col("answer"))).write_parquet(str(task.output))


if __name__ == "__main__":
    measure(job)
