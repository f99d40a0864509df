"""Several processes on one cache: what they are paid for together, and how each of them ends."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
from bars import tell
from workplace import command, truth, truth_of, workplace

from extract import Emulator
from extract.testing import running_server

__all__ = ["processes", "shared_cache"]


def shared_cache(
    count: int, number: int, slots: int, order: signal.Signals | None, answered: Counter[str]
) -> dict[str, Any]:
    """Run processes on one cache, each into an output of its own; the first gets a signal after a quarter of the rows.

    One that was stopped goes on once the others have ended.
    """
    lock = threading.Lock()

    def counted(body: dict[str, Any]) -> str:
        with lock:
            answered[str(body["input"][0]["content"][0]["text"])] += 1
        return truth_of(body)

    emulator = Emulator(answers=counted, latency=0.1, keep_requests=False)
    with running_server(emulator) as url, workplace(count) as folder:
        began = time.perf_counter()
        first, *others = [shared_run(url, folder, place, slots) for place in range(number)]
        while order is not None and len(answered) < count / 4:
            time.sleep(0.01)
        if order is not None:
            first.send_signal(order)
        for other in others:
            other.communicate(timeout=300)
        if order == signal.SIGSTOP:
            first.send_signal(signal.SIGCONT)
        first.communicate(timeout=300)
        seconds = time.perf_counter() - began
        dead = order == signal.SIGKILL
        outputs = [folder / f"out{place}.parquet" for place in range(dead, number)]
        left = [path.name for path in folder.glob("*.lock") if not (dead and path.name == "out0.parquet.lock")]
        wanted = [list(pl.read_parquet(path).select("id", "topic", "score").iter_rows()) for path in outputs]
    return {
        "status": [process.returncode for process in (first, *others)],
        "expected": [-signal.SIGKILL if dead else 0, *[0] * len(others)],
        "whole": not left and wanted == [truth(count)] * len(outputs),
        "seconds": seconds,
    }


def shared_run(url: str, folder: Path, place: int, slots: int) -> subprocess.Popen[bytes]:
    words = command(url, "--cache", "shared.cache", "--concurrency", str(slots))
    words[words.index("out.parquet")] = f"out{place}.parquet"
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def processes(quick: bool) -> None:
    """Four processes on one cache: each answer is paid for once, also where one is killed or stopped in the middle."""
    count, number, slots = (600, 4, 8) if quick else (4_000, 4, 32)
    # One that was stopped still sends what it had made ready, and others have asked for meanwhile.
    variants = (
        ("all go on", None, 0),
        ("one is killed", signal.SIGKILL, slots),
        ("one is stopped", signal.SIGSTOP, 2 * slots),
    )
    for name, order, most in variants:
        answered: Counter[str] = Counter()
        seen = shared_cache(count, number, slots, order, answered)
        again = answered.total() - len(answered)
        figure = f"{again} of {len(answered):,} in {seen['seconds']:.0f} s"
        tell(f"{number} processes, {name}: answers paid twice", figure, f"<= {most}", ok=again <= most)
        fine = seen["status"] == seen["expected"] and seen["whole"]
        tell("  exit statuses; tables are whole, no lock is left", seen["status"], str(seen["expected"]), ok=fine)
