"""What the benchmarks ask, of whom, and what the same number of exchanges takes where nothing else is done."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pipeline_for_benchmarks import extractor

from extract import Client, Limits, Progress, run

TOPICS = ("billing", "bug", "praise", "other")
BODY = b"x" * 800  # about what a record of `messages` is sent with


def messages(count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": range(count), "text": [f"message {n}: {TOPICS[n % 4]} of day {n}" for n in range(count)]}
    )


@contextmanager
def raw_server(latency: float, certificate: Path | None = None) -> Iterator[str]:
    """Start a server that waits and answers; give its address. `latency` is in seconds."""
    words = [sys.executable, str(Path(__file__).with_name("raw_server.py")), str(latency)]
    words += [str(certificate)] if certificate else []
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.wait()


@dataclass(frozen=True, slots=True)
class Took:
    """What a job took: records per second in all, the same without its start and end, CPU milliseconds per record."""

    rate: float
    steady: float
    processor_ms: float


def job(url: str, base: Path, slots: int, count: int, *, cache: bool = True, output: bool = True) -> Took:
    """Do a whole job, from rendering to Parquet. Raises where a row was not answered."""
    told: list[tuple[float, int]] = []

    def note(progress: Progress) -> None:
        told.append((time.perf_counter(), progress.totals.rows))

    started, processor = time.perf_counter(), time.process_time()
    result = run(
        messages(count),
        extractor,
        client=Client("key", base_url=url),
        output=base.with_suffix(".parquet") if output else None,
        cache=base.with_suffix(".cache") if cache else None,
        limits=Limits(concurrency=slots),
        on_event=note,
    )
    seconds, used = time.perf_counter() - started, time.process_time() - processor
    if result.totals.valid != count:
        raise RuntimeError(f"{result!r} where {count} rows were asked")
    later = [one for one in told if count / 4 < one[1] < count - slots] or [(started, 0), (started + seconds, count)]
    span = later[-1][0] - later[0][0]
    steady = (later[-1][1] - later[0][1]) / span if span > 0 else count / seconds
    return Took(count / seconds, steady, used / count * 1000)


async def bare(url: str, slots: int, count: int) -> None:
    """Exchange over sockets and do nothing else: the floor."""
    port, numbers = int(url.rpartition(":")[2]), iter(range(count))
    request = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
    trusted = ssl.create_default_context() if url.startswith("https") else None

    async def exchange() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusted)
        for _ in numbers:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r")[0]))
        writer.close()

    await asyncio.gather(*(exchange() for _ in range(slots)))
