"""A service on loopback whose answers are meant to hurt, and what a run of eight rows makes of them in a process."""

from __future__ import annotations

import socketserver
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

__all__ = ["BODIES", "QUICK_BODIES", "Body", "Seen", "asked_for"]

ROWS = 8
OK = b"HTTP/1.1 200 OK\r\n"
GIGABYTE = 2**30
PIECE = bytes(2**16)


def no_end() -> Iterator[bytes]:
    yield OK + b"\r\n"
    while True:
        yield PIECE


def gigabyte() -> Iterator[bytes]:
    yield OK + b"content-length: %d\r\n\r\n" % GIGABYTE
    for _ in range(GIGABYTE // len(PIECE)):
        yield PIECE


def gigabyte_in_chunks() -> Iterator[bytes]:
    yield OK + b"transfer-encoding: chunked\r\n\r\n"
    for _ in range(GIGABYTE // len(PIECE)):
        yield b"%x\r\n" % len(PIECE) + PIECE + b"\r\n"
    yield b"0\r\n\r\n"


@cache
def packed_gigabyte() -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return b"".join(packer.compress(PIECE) for _ in range(GIGABYTE // len(PIECE))) + packer.flush()


def bomb() -> Iterator[bytes]:
    body = packed_gigabyte()
    yield OK + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def drip() -> Iterator[bytes]:
    yield OK + b"\r\n"
    while True:
        yield b" "
        time.sleep(1)


@dataclass(frozen=True, slots=True)
class Body:
    """A kind of answer, and how a run of eight rows is to end. `speed` is how much faster its clock runs."""

    name: str
    pieces: Callable[[], Iterator[bytes]]
    code: str = "invalid_answer"
    requests: int = ROWS
    total: float | None = None
    speed: int = 1


TOO_LARGE = (
    Body("no end", no_end),
    Body("1 GB, announced", gigabyte),
    Body("1 GB in chunks", gigabyte_in_chunks),
    Body("1 MB that unpacks to 1 GB", bomb),
)
QUICK_BODIES = (*TOO_LARGE, Body("a byte a second, 2 s in all", drip, "timeout", 2 * ROWS, total=2.0))
BODIES = (*QUICK_BODIES, Body("a byte a second, the default in a fast clock", drip, "timeout", 2 * ROWS, speed=60))

RUN = """
import asyncio, resource, sys, time
from pathlib import Path
from extract import Client, Endpoint, Extractor, Limits, Retry, run
url, total, speed, rows = sys.argv[1], float(sys.argv[2]) or None, int(sys.argv[3]), int(sys.argv[4])
sys.modules["uvloop"] = None  # its clock cannot be set
asyncio.BaseEventLoop.time = lambda _: time.monotonic() * speed
started = time.monotonic()
client = Client(endpoint=Endpoint(api_key="key", base_url=url, request_timeout=total))
limits = Limits(concurrency=rows, stop_after_failures=0, retry=Retry(first_wait=0.01, longest_wait=0.01))
result = run([f"row {n}" for n in range(rows)], Extractor(["x", "y"], "{text}"), client=client, limits=limits)
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
peak = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)
print((peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024, time.monotonic() - started)
print(*sorted(set(result.errors["code"].to_list())))
"""


class Seen(NamedTuple):
    """What a run made of the answers: MB at its peak, seconds, error codes, and the requests that the service got."""

    peak: float
    seconds: float
    codes: list[str]
    requests: int


def asked_for(body: Body) -> Seen:
    """Run eight rows at once against a service with such answers, in a process of its own."""
    requests: list[bytes] = []

    class Answering(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                head = b"".join(iter(self.rfile.readline, b"\r\n"))
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                requests.append(self.rfile.read(length))
                for piece in body.pieces():
                    self.wfile.write(piece)
            except (OSError, ValueError):
                pass  # the client has had enough

    class Service(socketserver.ThreadingTCPServer):
        daemon_threads = True

    if body.pieces is bomb:
        packed_gigabyte()
    with Service(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        words = [sys.executable, "-c", RUN, url, str(body.total or 0), str(body.speed), str(ROWS)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        server.shutdown()
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])
    figures, codes = done.stdout.splitlines()
    peak, seconds = map(float, figures.split())
    return Seen(peak, seconds, codes.split(), len(requests))
