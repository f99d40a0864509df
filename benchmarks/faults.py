"""How long a run takes where one request in twenty fails, beside the least that obeys the waits which are named.

    python benchmarks/faults.py [--quick] [--write]

Runs with faults and without alternate, against `extract emulate` in a process of its own; the ideal is computed from
the runs without. The exit status is 1 where a bar was missed.
"""

from __future__ import annotations

import argparse
import heapq
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
import httpx
from bars import missed, tell
from pipeline_for_benchmarks import extractor
from results import write_section
from workload import messages

from extract import Client, Limits, run
from extract.emulator.faults import SLOW_SECONDS, FaultPlan

__all__ = ["faults"]

_SLOTS, _LATENCY_MS = 16, 50
_SPECS = ("mixed=0.05", "429_retry_after=0.05", "429_retry_info=0.05", "429=0.05", "503=0.05", "500=0.05", "reset=0.05")
_QUICK_SPECS = ("mixed=0.05", "429_retry_after=0.05", "503=0.05")
_WAITS = {"429_retry_after": 1.0, "429_retry_after_ms": 0.2, "429_retry_info": 0.5}  # seconds that refusals name
_HARMLESS = {None, "slow", "no_usage", "split", "thought_first", "unknown_extra"}  # the answer is there
_BAR, _BAR_WITH_WAITS = 1.3, 1.5


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of a run with faults, of the runs before and after it without, and of the ideal."""

    seconds: float
    without: float
    ideal: float

    @property
    def ratio(self) -> float:
        return self.seconds / self.ideal


def faults(quick: bool) -> None:
    """One request in twenty fails: the time of a run beside that of the ideal, which obeys the waits that are named."""
    measure(quick)


def measure(quick: bool) -> list[tuple[str, Measured]]:
    """Return what was measured for each kind of fault, and print it beside its bar."""
    count, specs = (1_200, _QUICK_SPECS) if quick else (2_500, _SPECS)
    figures = []
    with emulator() as url:
        _took(url, "", count // 4)  # warm
        for spec in specs:
            figures.append((spec, one := _one(url, spec, count)))
            names_waits = spec.startswith("mixed") or spec.partition("=")[0] in _WAITS
            bar = _BAR_WITH_WAITS if names_waits else _BAR
            figure = f"{one.seconds:.1f} s / {one.ideal:.1f} s = {one.ratio:.2f}"
            what = f"{spec}: measured / ideal (without faults {one.without:.1f} s)"
            tell(what, figure, f"<= {bar}", ok=one.ratio <= bar)
    return figures


def _one(url: str, spec: str, count: int) -> Measured:
    before = _took(url, "", count)
    seconds = _took(url, spec, count)
    without = (before + _took(url, "", count)) / 2
    each = without * _SLOTS / count  # of one request, with what this machine takes for it
    return Measured(seconds, without, fmean(ideal(spec, count, each, seed) for seed in range(20)))


def ideal(spec: str, count: int, each: float, seed: int) -> float:
    """Return the seconds of a run whose slots are never idle while a row may be sent.

    A request that fails is sent again at once, or after the wait that its refusal names, while others use its slot.
    """
    plan, draws = FaultPlan.parse(spec), random.Random(seed)
    free, again, left, end = [0.0] * _SLOTS, list[tuple[float, int]](), count, 0.0
    while left or again:
        now = heapq.heappop(free)
        if again and (again[0][0] <= now or not left):
            ready, parts = heapq.heappop(again)
            now = max(now, ready)
        else:
            left, parts = left - 1, 0
        name = plan.draw(draws) if not parts else None
        end_of_this = now + each + (SLOW_SECONDS if name == "slow" else 0.0)
        heapq.heappush(free, end_of_this)
        end = max(end, end_of_this)
        parts = 2 if name == "continuation" else parts - 1
        if parts > 0 or name not in _HARMLESS:
            heapq.heappush(again, (end_of_this + _WAITS.get(name or "", 0.0), max(parts, 0)))
    return end


def _took(url: str, spec: str, count: int) -> float:
    httpx.post(f"{url}/faults", content=spec).raise_for_status()
    started = time.perf_counter()
    result = run(messages(count), extractor, client=Client("key", base_url=url), limits=Limits(concurrency=_SLOTS))
    seconds = time.perf_counter() - started
    if result.totals.valid != count:
        raise RuntimeError(f"{result!r} where {count} rows were asked")
    return seconds


@contextmanager
def emulator() -> Iterator[str]:
    """Start the emulator in a process of its own and yield its address."""
    words = [sys.executable, "-m", "extract", "emulate", "--port", "0", "--latency-ms", str(_LATENCY_MS)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.kill()
        server.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows and kinds, for a first look")
    parser.add_argument("--write", action="store_true", help="replace the section of RESULTS.md")
    chosen = parser.parse_args()
    figures = measure(chosen.quick)
    if chosen.write:
        write_section("Faults: time against the ideal", _table(figures))
    return bool(missed)


def _table(figures: list[tuple[str, Measured]]) -> str:
    head = (
        f"{_SLOTS} at once, answers after {_LATENCY_MS} ms, one request in twenty fails; each run is between "
        "two without faults.\nThe ideal sends again at once, or after the wait that a refusal names, and "
        "never leaves a slot idle.\n\n"
        "| faults | run without, s | run, s | ideal, s | run / ideal |\n|---|---|---|---|---|\n"
    )
    rows = (f"| {s} | {m.without:.1f} | {m.seconds:.1f} | {m.ideal:.1f} | {m.ratio:.2f} |" for s, m in figures)
    return head + "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
