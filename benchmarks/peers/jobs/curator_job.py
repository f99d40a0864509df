"""curator: its LLM class with a response format, online, with its limits set above what the machine can do.

litellm's `default_encoding` is imported for what it does on the way: it lets tiktoken, with which curator counts
tokens, find the table that litellm ships, in place of fetching it.
"""

from __future__ import annotations

import os
from typing import Any

from bespokelabs import curator
from datasets import Dataset
from litellm.litellm_core_utils import default_encoding  # noqa: F401
from work import KEY, OPENAI, Message, Task, measure


class Sorter(curator.LLM):
    response_format = Message

    def prompt(self, row: dict[str, str]) -> str:
        return f"Sort this message: {row['text']}"

    def parse(self, row: dict[str, str], answer: Message) -> dict[str, Any]:
        return {"text": row["text"], "topic": answer.topic, "score": answer.score}


def job(task: Task) -> None:
    os.environ |= {"OPENAI_BASE_URL": f"{task.url}/v1", "OPENAI_API_KEY": KEY}
    sorter = Sorter(
        model_name=OPENAI,
        backend="openai",
        backend_params={
            "max_concurrent_requests": task.concurrency,
            "max_requests_per_minute": 10_000_000,
            "max_tokens_per_minute": 100_000_000_000,
        },
    )
    found = sorter(Dataset.from_dict({"text": task.texts}), working_dir=f"{task.folder}/curator")
    found.dataset.to_parquet(task.output)


if __name__ == "__main__":
    measure(job)
