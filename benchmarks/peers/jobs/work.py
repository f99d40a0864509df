"""What the jobs of all peers share: the records, the schema, the measurement, the Parquet file.

A job gets its task as JSON in its only argument and prints one line of JSON. Nothing but the standard library, pydantic
and polars is imported here, so that a job's memory is that of its own library.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import socket
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, Field

TOPICS = ("billing", "bug", "praise", "other")
GEMINI = "gemini-3.5-flash-lite"
OPENAI = "gpt-4o-mini"
KEY = "benchmark"
WARM_UP = 8
refused: list[str] = []


class Message(BaseModel):
    """One message, sorted."""

    topic: Literal["billing", "bug", "praise", "other"]
    score: int = Field(ge=0, le=10)


@dataclass(frozen=True, slots=True)
class Task:
    """One job: so many records, at most so many of them at once, answered at `url`, into `folder`."""

    url: str
    count: int
    concurrency: int
    folder: str
    variant: str
    packages: list[str]

    @property
    def texts(self) -> list[str]:
        return [f"message {n}: {TOPICS[n % 4]} of day {n}" for n in range(self.count)]

    @property
    def prompts(self) -> list[str]:
        return [prompt(text) for text in self.texts]

    @property
    def output(self) -> Path:
        return Path(self.folder) / f"{self.count}.parquet"


def prompt(text: str) -> str:
    return f"Sort this message: {text}"


async def bounded(ask: Callable[[str], Awaitable[Message]], prompts: Iterable[str], concurrency: int) -> list[Message]:
    """Ask with a semaphore and `gather`, as the documentation of every asynchronous SDK shows it."""
    slots = asyncio.Semaphore(concurrency)

    async def one(prompt: str) -> Message:
        async with slots:
            return await ask(prompt)

    return await asyncio.gather(*map(one, prompts))


def write(task: Task, messages: list[Message]) -> None:
    columns = {
        "text": task.texts,
        "topic": [message.topic for message in messages],
        "score": [message.score for message in messages],
    }
    pl.DataFrame(columns).write_parquet(task.output)


def given() -> Task:
    return Task(**json.loads(sys.argv[1]))


def measure(job: Callable[[Task], None]) -> None:
    """Run the job twice, a few records to load what is loaded late and then all, and tell what the second took."""
    task = given()
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is not the result
    stay_here()
    job(replace(task, count=WARM_UP))
    gc.collect()
    asked, used, started = requests(task), processor_seconds(), time.perf_counter()
    job(task)
    seconds, used = time.perf_counter() - started, processor_seconds() - used
    result: dict[str, Any] = {
        "seconds": seconds,
        "processor_seconds": used,
        "peak_mb": peak_mb(),
        "requests": requests(task) - asked,
        "refused": sorted(set(refused)),
        "versions": {name: found for name in task.packages if (found := installed(name))},
    }
    print(json.dumps(result), file=told, flush=True)


def stay_here() -> None:
    """Refuse to look up any host, whatever a library wants there: the measurement stays on this machine."""
    looked_up = socket.getaddrinfo

    def loopback_only(host: Any, *rest: Any, **named: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", "::1", None):
            refused.append(str(host))
            raise socket.gaierror(socket.EAI_NONAME, "only this machine is looked up in a benchmark")
        return looked_up(host, *rest, **named)

    socket.getaddrinfo = loopback_only


def requests(task: Task) -> int:
    with urllib.request.urlopen(f"{task.url}/count", timeout=10) as response:
        return int(response.read())


def processor_seconds() -> float:
    """Return the time of all threads, and of child processes that have ended."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak_mb() -> float:
    # Not ru_maxrss where there is better: on Linux that begins with what the parent process had taken.
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    peak = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)
    return (peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
