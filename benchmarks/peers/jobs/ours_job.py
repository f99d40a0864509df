"""This library: `extract.run` with a cache file, streamed to Parquet."""

from __future__ import annotations

import polars as pl
from work import GEMINI, KEY, Message, Task, measure

from extract import Client, Extractor, Limits, run


def job(task: Task) -> None:
    done = run(
        pl.DataFrame({"text": task.texts}),
        Extractor(Message, "Sort this message: {text}", model=GEMINI),
        client=Client(KEY, base_url=task.url),
        output=task.output,
        cache=task.output.with_suffix(".cache"),
        limits=Limits(concurrency=task.concurrency),
    )
    if done.stopped:
        raise done.stopped


if __name__ == "__main__":
    measure(job)
