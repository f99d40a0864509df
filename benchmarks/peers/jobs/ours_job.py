"""This library: `extract.run` with a cache file, streamed to Parquet, on asyncio's own loop or on uvloop."""

from __future__ import annotations

import sys
from importlib import import_module

import polars as pl
from work import GEMINI, KEY, Message, Task, given, measure

# The library takes uvloop where it finds it: hidden for the one row, and required for the other.
if given().variant == "uvloop":
    import_module("uvloop")
else:
    sys.modules["uvloop"] = None  # type: ignore[assignment] # how Python is told that there is none

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
