"""Two checkouts side by side: has a change made a run slower?

    python benchmarks/compare.py BEFORE [AFTER] [--pairs 15]

BEFORE and AFTER are folders that hold a checkout; AFTER is this one if left out. Each figure is measured in a new
process of one side, then of the other, in turns, and the order of the two changes from pair to pair. What is printed is
the median of the ratios after / before, with a 95 % interval from their order: it holds whatever way they are spread.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SLOTS = 128
#: What is measured, and its unit.
FIGURES = {
    "CPU per record, 0 ms": "ms",
    "steady rate, 128 at once, 50 ms": "records/s",
    "import extract": "ms",
    "import extract.run": "ms",
}


def cpu(url: str) -> float:
    """CPU milliseconds per record of a whole job at latency 0, cache and Parquet included."""
    from workload import job

    with tempfile.TemporaryDirectory() as folder:
        job(url, Path(folder) / "first", SLOTS, 500)
        return job(url, Path(folder) / "measured", SLOTS, 12_000).processor_ms


def steady(url: str) -> float:
    """Records per second while all slots are in use, of a server that takes 50 ms."""
    from workload import job

    with tempfile.TemporaryDirectory() as folder:
        return job(url, Path(folder) / "measured", SLOTS, 10_000).steady


def import_extract(_: str) -> float:
    started = time.perf_counter()
    import extract  # noqa: F401

    return (time.perf_counter() - started) * 1000


def import_run(_: str) -> float:
    started = time.perf_counter()
    from extract import run  # noqa: F401

    return (time.perf_counter() - started) * 1000


MEASURES: dict[str, Callable[[str], float]] = dict(zip(FIGURES, (cpu, steady, import_extract, import_run), strict=True))


def measured(side: Path, figure: str, url: str) -> float:
    """Return one figure of one side, from a process of its own."""
    here = os.environ | {"PYTHONPATH": str(side)}
    words = [sys.executable, __file__, "--one", figure, "--url", url]
    return float(subprocess.run(words, env=here, check=True, capture_output=True, text=True).stdout)


def interval(ratios: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median: the widest pair of ordered values that chance leaves outside 1 in 20."""
    ordered, count = sorted(ratios), len(ratios)
    outside, rank = 0.0, 0
    while rank < count // 2 and outside + math.comb(count, rank) / 2**count <= 0.025:
        outside += math.comb(count, rank) / 2**count
        rank += 1
    return ordered[max(0, rank - 1)], ordered[min(count - 1, count - rank)]


def compare(before: Path, after: Path, pairs: int) -> None:
    from workload import raw_server

    print("| figure | before | after | after / before | 95 % interval |\n|---|---|---|---|---|")
    for figure, unit in FIGURES.items():
        found: dict[Path, list[float]] = {before: [], after: []}
        with raw_server(0.05 if "50 ms" in figure else 0.0) as url:
            for number in range(pairs + 1):
                for side in (before, after) if number % 2 else (after, before):
                    value = measured(side, figure, url)
                    if number:  # the first pair fills the file cache
                        found[side].append(value)
        ratios = [new / old for old, new in zip(found[before], found[after], strict=True)]
        low, high = interval(ratios)
        old, new = (statistics.median(found[side]) for side in (before, after))
        row = (
            f"{old:,.3f} {unit}",
            f"{new:,.3f} {unit}",
            f"{statistics.median(ratios):.3f}",
            f"{low:.3f} to {high:.3f}",
        )
        print(f"| {figure} | " + " | ".join(row) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", nargs="?", type=Path)
    parser.add_argument("after", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--one", choices=MEASURES, help=argparse.SUPPRESS)
    parser.add_argument("--url", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(MEASURES[arguments.one](arguments.url))
    else:
        compare(arguments.before.resolve(), arguments.after.resolve(), arguments.pairs)


if __name__ == "__main__":
    main()
